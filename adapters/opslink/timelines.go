package opslink

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"phonebill/core/id"
	"phonebill/core/timeline"
	"phonebill/ports"
)

// Timelines implements ports.Timelines: it asks the instances of one service as Deliveries does, for they answer in the same way.
// SERVICE_UNAVAILABLE when none answers.
type Timelines struct{ of *Deliveries }

var _ ports.Timelines = (*Timelines)(nil)

// Timelines are those of a service's requests.
func (l *Link) Timelines(service string) *Timelines { return &Timelines{l.Deliveries(service)} }

const timelinesPath = "/internal/v1/timelines"

// toldStory is the answer on the wire, version 1 (adapters/rest/timelines).
type toldStory struct {
	Kind   timeline.Kind `json:"kind"`
	Line   string        `json:"line"`
	Status string        `json:"status"`
	NextAt time.Time     `json:"nextAt"`
	Events []struct {
		At     time.Time         `json:"at"`
		Source timeline.Source   `json:"source"`
		What   timeline.What     `json:"what"`
		Text   string            `json:"text"`
		Facts  map[string]string `json:"facts"`
	} `json:"events"`
	Missing []timeline.Gap `json:"missing"`
}

// Of implements ports.Timelines.
func (t *Timelines) Of(ctx context.Context, request id.ID) (timeline.Story, error) {
	raw, err := t.of.ask(ctx, http.MethodGet, timelinesPath+"/"+request.String())
	if err != nil {
		return timeline.Story{}, err
	}
	var told toldStory
	if err := json.Unmarshal(raw, &told); err != nil {
		return timeline.Story{}, badAnswer(err)
	}
	s := timeline.Story{
		Kind: told.Kind, Line: told.Line, Status: told.Status, NextAt: told.NextAt, Missing: told.Missing,
		Events: make([]timeline.Event, len(told.Events)),
	}
	for i, e := range told.Events {
		s.Events[i] = timeline.Event(e)
	}
	return s, nil
}
