package links

import (
	"context"
	"log/slog"
	"time"

	"phonebill/ports"
)

// missingFloor logs that an instance has been without a floor for long, once, and when it has one again. That every
// place is taken for a while is usual: a process that crashed keeps its place until its lease is over.
type missingFloor struct {
	log      *slog.Logger
	now      ports.Clock
	patience time.Duration // longer than a lease that nobody renews keeps a place
	since    time.Time     // zero while the instance has a floor
	logged   bool
}

// note records whether the ledger has granted a floor. It is called by one worker.
func (m *missingFloor) note(ctx context.Context, held bool) {
	switch {
	case held:
		if m.logged {
			m.log.InfoContext(ctx, "this instance holds a floor of calls to KOS again")
		}
		m.since, m.logged = time.Time{}, false
	case m.since.IsZero():
		m.since = m.now()
	case !m.logged && m.now().Sub(m.since) >= m.patience:
		m.logged = true
		m.log.WarnContext(ctx, "every floor of calls to KOS is leased to another instance: this one calls nothing while "+
			"the ledger is away; more processes run than KOS_INSTANCES says", "without", m.now().Sub(m.since).String())
	}
}
