package opslink

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"phonebill/core/auth"
	"phonebill/core/calendar"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Parked implements ports.ParkedChanges: it asks the instances of one service, of which any knows all, one after the other until one
// answers. A word that may have arrived is not said to another one. SERVICE_UNAVAILABLE when none answers.
type Parked struct {
	link    *Link
	service string
	within  time.Duration // of one instance
}

var _ ports.ParkedChanges = (*Parked)(nil)

const parkedPath = "/internal/v1/parked-changes"

// parkedWithin is how long an instance may take: it asks its database, and has copies dropped.
const parkedWithin = 5 * time.Second

// Parked are the parked orders of a service.
func (l *Link) Parked(service string) *Parked { return &Parked{l, service, parkedWithin} }

// toldParked is the answer on the wire, version 1 (adapters/rest/parked).
type toldParked struct {
	Total int `json:"total"`
	Items []struct {
		ID            string    `json:"id"`
		TransactionID string    `json:"transactionId"`
		Line          string    `json:"line"`
		From          string    `json:"from"`
		To            string    `json:"to"`
		EffectiveDate string    `json:"effectiveDate"`
		RequestedAt   time.Time `json:"requestedAt"`
		ParkedAt      time.Time `json:"parkedAt"`
		Sends         int       `json:"sends"`
		Reconciles    int       `json:"reconciles"`
		KOSOrder      string    `json:"kosOrder"`
		Proposal      *word     `json:"proposal"`
	} `json:"items"`
}

type word struct {
	Outcome string    `json:"outcome"`
	Reason  string    `json:"reason"`
	By      string    `json:"by"`
	At      time.Time `json:"at,omitzero"`
}

// List implements ports.ParkedChanges.
func (p *Parked) List(ctx context.Context, page, size int) ([]product.ParkedOrder, int, error) {
	query := url.Values{"page": {strconv.Itoa(page)}, "size": {strconv.Itoa(size)}}
	raw, err := p.ask(ctx, http.MethodGet, parkedPath+"?"+query.Encode(), nil)
	if err != nil {
		return nil, 0, err
	}
	var told toldParked
	if err := json.Unmarshal(raw, &told); err != nil {
		return nil, 0, badAnswer(err)
	}
	out := make([]product.ParkedOrder, len(told.Items))
	for i, t := range told.Items {
		order, err1 := id.Parse(t.ID)
		transaction, err2 := id.Parse(t.TransactionID)
		day, err3 := calendar.ParseDate("effectiveDate", t.EffectiveDate)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, 0, badAnswer(err)
		}
		out[i] = product.ParkedOrder{
			ID: order, TransactionID: transaction, Line: t.Line, From: t.From, To: t.To, EffectiveDate: day, RequestedAt: t.RequestedAt,
			ParkedAt: t.ParkedAt, Sends: t.Sends, Reconciles: t.Reconciles, KOSOrder: t.KOSOrder,
		}
		if w := t.Proposal; w != nil {
			out[i].Proposal = product.Resolution{Outcome: product.Outcome(w.Outcome), Reason: w.Reason, By: auth.UserID(w.By), At: w.At}
		}
	}
	return out, told.Total, nil
}

// Resolve implements ports.ParkedChanges; the time is that of the instance.
func (p *Parked) Resolve(ctx context.Context, order id.ID, r product.Resolution) (product.Judgement, error) {
	said, err := json.Marshal(word{Outcome: string(r.Outcome), Reason: r.Reason, By: string(r.By)})
	if err != nil {
		return product.Proposed, fmt.Errorf("opslink: %w", err)
	}
	raw, err := p.ask(ctx, http.MethodPost, parkedPath+"/"+order.String()+"/resolve", said)
	if err != nil {
		return product.Proposed, err
	}
	var verdict struct {
		Result string `json:"result"`
	}
	err = json.Unmarshal(raw, &verdict)
	for _, j := range []product.Judgement{product.Proposed, product.Confirmed} {
		if err == nil && verdict.Result == j.String() {
			return j, nil
		}
	}
	return product.Proposed, badAnswer(fmt.Errorf("result %q: %w", verdict.Result, err))
}

func badAnswer(err error) error {
	return fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("opslink: %w: %w", ports.ErrBadAnswer, err))
}

func (p *Parked) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	var trouble error = fault.New(fault.ServiceUnavailable)
	for _, i := range p.link.all {
		if i.Service != p.service {
			continue
		}
		raw, err := p.one(ctx, method, p.link.origins[i]+path, body)
		if err == nil {
			return raw, nil
		}
		trouble = err
		if fault.From(err).Code() != fault.ServiceUnavailable || ctx.Err() != nil || method != http.MethodGet && !neverArrived(err) {
			break
		}
	}
	return nil, trouble
}

// neverArrived tells that there was no connection.
func neverArrived(err error) bool {
	var dial *net.OpError
	return errors.As(err, &dial) && dial.Op == "dial"
}

func (p *Parked) one(ctx context.Context, method, address string, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, p.within)
	defer cancel()
	away := func(err error) error {
		return fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("opslink: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, away(err)
	}
	if token := p.link.token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := p.link.http.Do(req)
	if err != nil {
		return nil, away(err)
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, away(err)
	case res.StatusCode == http.StatusOK:
		return raw, nil
	default:
		return nil, refusal(res, raw)
	}
}

// refusal is what the service says no with, in its words; anything else is no answer of it.
func refusal(res *http.Response, raw []byte) error {
	var said struct {
		Code    fault.Code        `json:"code"`
		Message string            `json:"message"`
		Details map[string]string `json:"details"`
	}
	known := map[int]fault.Code{
		http.StatusNotFound: fault.ResourceNotFound, http.StatusConflict: fault.StateConflict, http.StatusBadRequest: fault.ValidationError,
	}
	if err := json.Unmarshal(raw, &said); err != nil || said.Code == "" || said.Code != known[res.StatusCode] {
		return badAnswer(fmt.Errorf("status %d", res.StatusCode))
	}
	f := fault.New(said.Code)
	if said.Message != "" {
		f = f.WithMessage(said.Message)
	}
	for k, v := range said.Details {
		f = f.WithDetail(k, v)
	}
	return f
}
