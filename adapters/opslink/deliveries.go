package opslink

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"phonebill/core/delivery"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/ports"
)

// Deliveries implements ports.Deliveries: it asks the instances of one service, of which any knows all, one after the other until one
// answers. SERVICE_UNAVAILABLE when none does.
type Deliveries struct {
	link    *Link
	service string
	within  time.Duration // of one instance
}

var _ ports.Deliveries = (*Deliveries)(nil)

// deliveriesWithin is how long an instance may take: it asks its database.
const deliveriesWithin = 3 * time.Second

const deliveriesPath = "/internal/v1/deliveries"

// Deliveries are those of a service.
func (l *Link) Deliveries(service string) *Deliveries {
	return &Deliveries{l, service, deliveriesWithin}
}

// toldDeliveries is the answer on the wire, version 1 (adapters/rest/deliveries).
type toldDeliveries struct {
	Total int `json:"total"`
	Items []struct {
		ID          string    `json:"id"`
		Kind        string    `json:"kind"`
		Line        string    `json:"line"`
		State       string    `json:"state"`
		Sequence    int64     `json:"sequence"`
		Attempts    int       `json:"attempts"`
		FinalAt     time.Time `json:"finalAt"`
		NextAt      time.Time `json:"nextAt"`
		DeliveredAt time.Time `json:"deliveredAt"`
		ReplayedAt  time.Time `json:"replayedAt"`
		Last        []struct {
			At    time.Time `json:"at"`
			State string    `json:"state"`
			Note  string    `json:"note"`
		} `json:"last"`
	} `json:"items"`
}

// List implements ports.Deliveries.
func (d *Deliveries) List(ctx context.Context, f delivery.Filter) ([]delivery.Told, int, error) {
	query := url.Values{"page": {strconv.Itoa(f.Page)}, "size": {strconv.Itoa(f.Size)}}
	if f.State != "" {
		query.Set("state", string(f.State))
	}
	if !f.Since.IsZero() {
		query.Set("since", f.Since.UTC().Format(time.RFC3339Nano))
	}
	raw, err := d.ask(ctx, http.MethodGet, deliveriesPath+"?"+query.Encode())
	if err != nil {
		return nil, 0, err
	}
	var answer toldDeliveries
	if err := json.Unmarshal(raw, &answer); err != nil {
		return nil, 0, fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("opslink: %w: %w", ports.ErrBadAnswer, err))
	}
	page := make([]delivery.Told, len(answer.Items))
	for i, t := range answer.Items {
		event, err := id.Parse(t.ID)
		if err != nil {
			return nil, 0, fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("opslink: %w: %w", ports.ErrBadAnswer, err))
		}
		page[i] = delivery.Told{
			ID: event, Kind: delivery.Kind(t.Kind), Line: t.Line, State: delivery.State(t.State), Sequence: t.Sequence, Attempts: t.Attempts,
			FinalAt: t.FinalAt, NextAt: t.NextAt, DeliveredAt: t.DeliveredAt, ReplayedAt: t.ReplayedAt,
		}
		for _, m := range t.Last {
			page[i].Last = append(page[i].Last, delivery.Made{At: m.At, State: delivery.State(m.State), Note: m.Note})
		}
	}
	return page, answer.Total, nil
}

// Replay implements ports.Deliveries; the time is that of the instance.
func (d *Deliveries) Replay(ctx context.Context, event id.ID, _ time.Time) error {
	_, err := d.ask(ctx, http.MethodPost, deliveriesPath+"/"+event.String()+"/replay")
	return err
}

func (d *Deliveries) ask(ctx context.Context, method, path string) ([]byte, error) {
	var trouble error = fault.New(fault.ServiceUnavailable)
	for _, i := range d.link.all {
		if i.Service != d.service {
			continue
		}
		raw, err := d.one(ctx, method, d.link.origins[i]+path)
		if err == nil {
			return raw, nil
		}
		trouble = err
		if fault.From(err).Code() != fault.ServiceUnavailable || ctx.Err() != nil {
			break
		}
	}
	return nil, trouble
}

func (d *Deliveries) one(ctx context.Context, method, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, d.within)
	defer cancel()
	away := func(err error) error {
		return fault.New(fault.ServiceUnavailable).Because(fmt.Errorf("opslink: %w", err))
	}
	req, err := http.NewRequestWithContext(ctx, method, address, http.NoBody)
	if err != nil {
		return nil, away(err)
	}
	if token := d.link.token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := d.link.http.Do(req)
	if err != nil {
		return nil, away(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	switch {
	case err != nil:
		return nil, away(err)
	case res.StatusCode == http.StatusOK, res.StatusCode == http.StatusNoContent:
		return body, nil
	case res.StatusCode == http.StatusConflict:
		return nil, fault.New(fault.StateConflict)
	case res.StatusCode == http.StatusNotFound && res.Header.Get("Content-Type") == "application/json": // else it has no such page
		return nil, fault.New(fault.ResourceNotFound)
	default:
		return nil, away(fmt.Errorf("%w: status %d", ports.ErrBadAnswer, res.StatusCode))
	}
}
