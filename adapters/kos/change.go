package kos

import (
	"context"

	"phonebill/adapters/kos/internal/kosgen"
	"phonebill/core/product"
	"phonebill/core/quota"
)

// changeReason is the text that KOS wants with every change.
const changeReason = "고객 요청"

// Change sends the order once under its transaction id. Only a verdict of KOS's own makes Accepted or Refused, only what provably
// never left us is NotSent; all else is Unknown (ADR 21). E110 tells that KOS has the id, not what became of it: Unknown too.
func (c *Client) Change(ctx context.Context, o product.Order) product.Answer {
	transaction := o.TransactionID.String()
	req, err := kosgen.NewChangeProductRequest(c.origin, kosgen.ProductChangeRequest{
		TransactionId: transaction, LineNumber: o.Line.Digits(), CurrentProductCode: o.From, NewProductCode: o.To,
		EffectiveDate: o.EffectiveDate.Compact(), ChangeReason: changeReason,
	})
	if err != nil {
		return product.Answer{Kind: product.AnswerNotSent}
	}
	var order string
	ask := question{operation: productChange, lane: c.changeLane(), line: o.Line, request: o.ID, http: req}
	ask.read = func(body []byte) error {
		order, err = readChange(body, transaction, o.To)
		return err
	}
	out := c.call(ctx, ask)
	switch {
	case out.verdict == answered:
		return product.Answer{Kind: product.AnswerAccepted, Code: codeOK, KOSOrder: order}
	case out.verdict == business && out.code != codeReused:
		return refused(out.code)
	default:
		return out.changeAnswer()
	}
}

// Ask asks what became of the order's transaction. A KOS that has just said that it cannot be asked such a thing is not asked.
func (c *Client) Ask(ctx context.Context, o product.Order) product.Answer {
	if !c.probe && c.noQuery.known(c.deps.Now()) {
		return product.Answer{Kind: product.AnswerNoQuery}
	}
	transaction := o.TransactionID.String()
	req, err := kosgen.NewGetProductChangeRequest(c.origin, transaction)
	if err != nil {
		return product.Answer{Kind: product.AnswerNotSent}
	}
	var told product.Answer
	ask := question{operation: productChangeStatus, lane: c.askLane(), line: o.Line, request: o.ID, http: req}
	ask.read = func(body []byte) error {
		told, err = readChangeStatus(body, transaction)
		return err
	}
	out := c.call(ctx, ask)
	switch out.verdict { //nolint:exhaustive // all others are no answer to the question
	case answered:
		return told
	case unsupported:
		c.noQuery.learn(c.deps.Now())
		return product.Answer{Kind: product.AnswerNoQuery}
	default:
		return out.changeAnswer()
	}
}

// changeLane is what changes spend of: their own lane, except for a probe, which nobody waits for.
func (c *Client) changeLane() quota.Lane {
	if c.probe {
		return quota.Refresh
	}
	return quota.Change
}

// askLane is what questions about orders spend of.
func (c *Client) askLane() quota.Lane {
	if c.probe {
		return c.changeLane()
	}
	return c.asking
}

// changeAnswer is for everything that is not a verdict on the change.
func (o outcome) changeAnswer() product.Answer {
	if o.verdict.notAsked() || o.verdict == unknownKey || o.verdict == overQuota { // whom KOS does not hear has changed nothing
		return product.Answer{Kind: product.AnswerNotSent, RetryAfter: o.retryAfter, Why: o.label()}
	}
	return product.Answer{Kind: product.AnswerUnknown, Code: o.code}
}

func refused(code string) product.Answer {
	return product.Answer{Kind: product.AnswerRefused, Code: code, Refusal: refusalOf(code)}
}

// refusalOf names KOS's no in our words (R-KOS-CODES).
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
