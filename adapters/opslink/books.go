package opslink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"phonebill/core/id"
	"phonebill/core/product"
	"phonebill/ports"
)

// Books implements ports.BookChecks: it asks the instances of one service as Parked does. A run that may have been begun is not begun by
// another one.
type Books struct{ service *Parked }

var _ ports.BookChecks = (*Books)(nil)

const booksPath = "/internal/v1/books/runs"

// Books are the comparisons of a service's books.
func (l *Link) Books(service string) *Books { return &Books{l.Parked(service)} }

// toldBooks is the answer on the wire, version 1 (adapters/rest/books).
type toldBooks struct {
	ID          string    `json:"id"`
	Nightly     bool      `json:"nightly"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	StartedAt   time.Time `json:"startedAt"`
	FinishedAt  time.Time `json:"finishedAt"`
	ReachedAt   time.Time `json:"reachedAt"`
	Checked     int       `json:"checked"`
	Asked       int       `json:"asked"`
	Undecided   int       `json:"undecided"`
	Unasked     int       `json:"unasked"`
	Found       int       `json:"found"`
	Differences []struct {
		RequestID string    `json:"requestId"`
		Line      string    `json:"line"`
		Kind      string    `json:"kind"`
		Found     time.Time `json:"found"`
		Text      string    `json:"text"`
	} `json:"differences"`
}

// Start implements ports.BookChecks.
func (b *Books) Start(ctx context.Context, from, to time.Time) (product.BookRun, error) {
	window, err := json.Marshal(struct {
		From time.Time `json:"from"`
		To   time.Time `json:"to"`
	}{from, to})
	if err != nil {
		return product.BookRun{}, fmt.Errorf("opslink: %w", err)
	}
	raw, err := b.service.ask(ctx, http.MethodPost, booksPath, window)
	if err != nil {
		return product.BookRun{}, err
	}
	report, err := readBooks(raw)
	return report.Run, err
}

// Report implements ports.BookChecks.
func (b *Books) Report(ctx context.Context, run id.ID) (product.BookReport, error) {
	which := "last"
	if !run.IsZero() {
		which = run.String()
	}
	raw, err := b.service.ask(ctx, http.MethodGet, booksPath+"/"+which, nil)
	if err != nil {
		return product.BookReport{}, err
	}
	return readBooks(raw)
}

func readBooks(raw []byte) (product.BookReport, error) {
	var told toldBooks
	if err := json.Unmarshal(raw, &told); err != nil {
		return product.BookReport{}, badAnswer(err)
	}
	run, err := id.Parse(told.ID)
	out := product.BookReport{Run: product.BookRun{
		ID: run, Nightly: told.Nightly, From: told.From, To: told.To, StartedAt: told.StartedAt, Finished: told.FinishedAt,
		Reached: product.BookPlace{At: told.ReachedAt},
		Checked: told.Checked, Asked: told.Asked, Undecided: told.Undecided, Unasked: told.Unasked, Found: told.Found,
	}}
	for _, d := range told.Differences {
		order, wrong := id.Parse(d.RequestID)
		err = errors.Join(err, wrong)
		out.Differences = append(out.Differences, product.Difference{
			RequestID: order, Line: d.Line, Kind: product.DifferenceKind(d.Kind), Found: d.Found, Text: d.Text,
		})
	}
	if err != nil {
		return product.BookReport{}, badAnswer(err)
	}
	return out, nil
}
