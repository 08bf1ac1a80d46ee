package service

import (
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"

	"phonebill/core/id"
	"phonebill/ports"
)

// Tools are what every unit gets.
type Tools struct {
	Log    *slog.Logger
	Now    ports.Clock
	NewID  ports.IDs
	Random ports.Random
}

// RealTools returns tools with the real time, in UTC and in PostgreSQL's microseconds, so that a stored time equals the
// one in memory.
func RealTools(log *slog.Logger) Tools {
	return Tools{
		Log:    log,
		Now:    func() time.Time { return time.Now().UTC().Truncate(time.Microsecond) },
		NewID:  func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) },
		Random: rand.Float64,
	}
}
