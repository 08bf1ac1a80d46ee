package postgres

import (
	"context"
	"time"

	"github.com/google/uuid"

	"phonebill/core/id"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/ports"
)

// A row of which a part cannot be opened (damaged, or sealed with a key that this process does not have) does not stop
// other rows. In a queue it is put off for unreadableFor, until the key may be there, with an alert each time. History
// shows it with what can be read: the plain columns, and its line, which is known by its blind index. The outbox parks
// it (unreadable).

// unreadableFor is how long a row that could not be opened is put off.
const unreadableFor = time.Hour

// queued maps claimed rows; those that cannot be opened are put off.
func queued[Row, Noun any](
	ctx context.Context, alerts ports.Alerts, rows []Row, noun func(Row) (Noun, error), key func(Row) uuid.UUID,
	putOff func(ctx context.Context, ids []uuid.UUID) error,
) []Noun {
	nouns := make([]Noun, 0, len(rows))
	var unread []uuid.UUID
	for _, row := range rows {
		if n, err := noun(row); err == nil {
			nouns = append(nouns, n)
		} else {
			unread = append(unread, key(row))
		}
	}
	if len(unread) == 0 {
		return nouns
	}
	_ = putOff(ctx, unread) // if it fails they are claimed and put off again when their lease is over
	for _, id := range unread {
		alertUnreadable(ctx, alerts, id)
	}
	return nouns
}

func alertUnreadable(ctx context.Context, alerts ports.Alerts, row uuid.UUID) {
	if alerts != nil {
		alerts.Raise(ctx, operations.Alert{
			Kind: operations.RowUnreadable, Subject: id.ID(row).String(),
			Note: "a stored part cannot be opened; the row is put off until it can be",
		})
	}
}

// known finds the lines that history was asked for by the index in a row.
func (l lines) known(all []line.Number) func(index []byte) line.Number {
	of := make(map[string]line.Number, len(all))
	for _, n := range all {
		of[string(l.index(n))] = n
	}
	return func(index []byte) line.Number { return of[string(index)] }
}
