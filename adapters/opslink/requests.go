package opslink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/staff"
	"phonebill/ports"
)

// Requests implements ports.Requests: it asks the instances of one service, of which any knows all, as Parked does. An instance of an older
// release, which has no such page, is passed over.
type Requests struct{ service *Parked }

var _ ports.Requests = (*Requests)(nil)

const requestsPath = "/internal/v1/requests"

// Requests are those of a service.
func (l *Link) Requests(service string) *Requests { return &Requests{l.Parked(service)} }

// askedRequests is the question on the wire, version 1 (adapters/rest/requests).
type askedRequests struct {
	Line    string `json:"line,omitempty"`
	UserID  string `json:"userId,omitempty"`
	State   string `json:"state,omitempty"`
	TraceID string `json:"traceId,omitempty"`
	Page    int    `json:"page"`
	Size    int    `json:"size"`
}

// toldRequests is the answer.
type toldRequests struct {
	Total int `json:"total"`
	Items []struct {
		ID          string    `json:"id"`
		Kind        string    `json:"kind"`
		UserID      string    `json:"userId"`
		Line        string    `json:"line"`
		State       string    `json:"state"`
		Subject     string    `json:"subject"`
		RequestedAt time.Time `json:"requestedAt"`
		ProcessedAt time.Time `json:"processedAt"`
		NextAt      time.Time `json:"nextAt"`
		Code        string    `json:"code"`
		TraceID     string    `json:"traceId"`
		Cancellable bool      `json:"cancellable"`
	} `json:"items"`
}

// List implements ports.RequestList.
func (r *Requests) List(ctx context.Context, f staff.Filter) ([]staff.Request, int, error) {
	q := askedRequests{UserID: string(f.UserID), State: f.State, TraceID: f.TraceID, Page: f.Page, Size: f.Size}
	if f.Line != (line.Number{}) {
		q.Line = f.Line.Digits()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return nil, 0, fmt.Errorf("opslink: %w", err)
	}
	raw, err := r.service.read(ctx, requestsPath+"/search", body)
	if err != nil {
		return nil, 0, err
	}
	var told toldRequests
	if err := json.Unmarshal(raw, &told); err != nil {
		return nil, 0, badAnswer(err)
	}
	out := make([]staff.Request, len(told.Items))
	for i, t := range told.Items {
		own, wrong := id.Parse(t.ID)
		err = errors.Join(err, wrong)
		out[i] = staff.Request{
			ID: own, Kind: staff.Kind(t.Kind), UserID: auth.UserID(t.UserID), Line: t.Line, State: t.State, Subject: t.Subject,
			RequestedAt: t.RequestedAt, ProcessedAt: t.ProcessedAt, NextAt: t.NextAt, Code: t.Code, TraceID: t.TraceID, Cancellable: t.Cancellable,
		}
	}
	if err != nil {
		return nil, 0, badAnswer(err)
	}
	return out, told.Total, nil
}

// Cancel implements ports.Requests.
func (r *Requests) Cancel(ctx context.Context, request id.ID) error {
	_, err := r.service.ask(ctx, http.MethodPost, requestsPath+"/"+request.String()+"/cancel", nil)
	return err
}

// read asks a question that changes nothing, so that every instance may be asked, although its parameters are in a body.
func (p *Parked) read(ctx context.Context, path string, body []byte) ([]byte, error) {
	var trouble error = fault.New(fault.ServiceUnavailable)
	for _, i := range p.link.all {
		if i.Service != p.service {
			continue
		}
		raw, err := p.one(ctx, http.MethodPost, p.link.origins[i]+path, body)
		if err == nil {
			return raw, nil
		}
		if trouble = err; fault.From(err).Code() != fault.ServiceUnavailable || ctx.Err() != nil {
			break
		}
	}
	return nil, trouble
}
