package kos

import (
	"context"
	"sync/atomic"
	"time"

	"phonebill/core/product"
	"phonebill/ports"
)

// Change sends the order once under its transaction id. The answer is Accepted or Refused only by KOS's own word, and
// NotSent only when provably no byte left this process or KOS refused to read it; everything else is Unknown. E110
// says that KOS has the transaction id, not what became of it, and is Unknown too.
func (c *Client) Change(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	kosOrder, out, err := ask(ctx, c, call, productChange, o)
	switch {
	case err != nil:
		return product.Answer{Kind: product.AnswerNotSent}
	case out.verdict == answered:
		return product.Answer{Kind: product.AnswerAccepted, Code: codeOK, KOSOrder: kosOrder}
	case out.verdict == business && out.code != codeReused:
		return refused(out.code)
	default:
		return out.changeAnswer()
	}
}

// AskStatus asks KOS what became of the order's transaction. A KOS that has lately shown that it lacks the query is not
// asked; the answer is then NoQuery.
func (c *Client) AskStatus(ctx context.Context, call ports.Call, o product.Order) product.Answer {
	if c.statusQuery.isMissing(c.deps.Now()) {
		return product.Answer{Kind: product.AnswerNoQuery}
	}
	status, out, err := ask(ctx, c, call, productChangeStatus, o)
	switch {
	case err != nil:
		return product.Answer{Kind: product.AnswerNotSent}
	case out.verdict == answered:
		return status
	case out.verdict == unsupported:
		return product.Answer{Kind: product.AnswerNoQuery}
	default:
		return out.changeAnswer()
	}
}

// changeAnswer converts an outcome that is no verdict on the change. A KOS that did not accept the credential or the
// number of calls has not read the request.
func (o outcome) changeAnswer() product.Answer {
	if o.verdict.notAsked() || o.verdict == unknownKey || o.verdict == overQuota {
		return product.Answer{Kind: product.AnswerNotSent, RetryAfter: o.retryAfter, Why: o.label()}
	}
	return product.Answer{Kind: product.AnswerUnknown, Code: o.code}
}

func refused(code string) product.Answer {
	return product.Answer{Kind: product.AnswerRefused, Code: code, Refusal: refusalOf(code)}
}

// refusalOf maps a result code of KOS to the reason that customers are shown.
func refusalOf(code string) product.Refusal {
	switch code {
	case codeUnknownLine, codeLineNotInUse:
		return product.RefusedLine
	case codeContractTerm:
		return product.RefusedContractTerm
	case codeIncompatible:
		return product.RefusedIncompatible
	case codeUnpaid:
		return product.RefusedUnpaid
	case codeNotOnSale:
		return product.RefusedNotOnSale
	case codeOtherOperator:
		return product.RefusedOperator
	case codeNotCurrent:
		return product.RefusedNotCurrent
	default:
		return product.RefusedOther
	}
}

// missingFor is how long a KOS that returned 404 to the status query is taken to lack it. After that it is asked again:
// it may have been given the query, or the proxy that wrongly answered 404 has been repaired.
const missingFor = 10 * time.Minute

// statusQuery remembers that this KOS lacks the status query of changes, so that the call is not paid for each time. A
// client shares it with the client of its probes. The zero value means that the query is there.
// It is safe for concurrent use.
type statusQuery struct {
	missingUntil atomic.Int64 // ns since 1970
}

func (q *statusQuery) isMissing(now time.Time) bool { return now.UnixNano() < q.missingUntil.Load() }

func (q *statusQuery) markMissing(now time.Time) {
	q.missingUntil.Store(now.Add(missingFor).UnixNano())
}
