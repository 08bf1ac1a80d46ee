package postgres

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/audit"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// AuditLog implements ports.AuditLog: the chain of one writer. Each row is also logged with its hash, so that a log
// that is kept elsewhere can prove it.
type AuditLog struct {
	pool   *pgxpool.Pool
	writer id.ID
	log    *slog.Logger
	turn   chan struct{} // one at a time; the context of a waiting caller may end
	end    audit.Chain
	unsure bool // it is not known whether the last row was stored
	key    func() ([]byte, error)
}

var _ ports.AuditLog = (*AuditLog)(nil)

// NewAuditLog begins the chain of a writer, which no other log writes. Its rows are keyed as soon as the vault binds
// values to their rows: then no instance of release b0e8e26 is left, which could not check them. While that is not
// known Append fails.
func NewAuditLog(pool *pgxpool.Pool, vault ports.Vault, writer id.ID, log *slog.Logger) *AuditLog {
	keys := AuditKeys(vault)
	return &AuditLog{pool: pool, writer: writer, log: log, turn: make(chan struct{}, 1), key: func() ([]byte, error) {
		switch form := vault.Form(); {
		case form == sealing.Unknown:
			return nil, unknownForm()
		case form.Older():
			return nil, nil
		}
		return keys(writer), nil
	}}
}

// AuditKeys derives the keys of writers from the keyring.
func AuditKeys(vault ports.Vault) audit.Keys {
	return func(writer id.ID) []byte { return vault.Index("auth.audit_log.writer", key(writer)) }
}

// AuditClosing reports whether rows without a key are to be closed: every instance has been writing keyed ones for
// settled.
func AuditClosing(pool *pgxpool.Pool, settled time.Duration) func(context.Context) (bool, error) {
	return func(ctx context.Context) (bool, error) {
		row, err := authdb.New(pool).SealingAge(ctx)
		return sealing.Form(row.Form) >= sealing.Row && row.Seconds >= settled.Seconds(),
			translate("read how values are sealed", err)
	}
}

// Append stores the entry as the next row. When it is not known whether the previous row was stored, it looks first.
func (l *AuditLog) Append(ctx context.Context, e audit.Entry) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
	case <-ctx.Done():
		return translate("wait for the audit log", ctx.Err())
	}
	if err := l.append(ctx, e); err != nil {
		var twice *pgconn.PgError
		if !errors.As(err, &twice) || twice.Code != uniqueViolation {
			return translate("append to audit log", err)
		}
		if err := l.append(ctx, e); err != nil { // the previous row was stored after all
			return translate("append to audit log", err)
		}
	}
	return nil
}

// uniqueViolation is the SQLSTATE of a key that is taken.
const uniqueViolation = "23505"

func (l *AuditLog) append(ctx context.Context, e audit.Entry) error {
	q := authdb.New(l.pool)
	if l.unsure {
		end, err := q.AuditHead(ctx, uuid.UUID(l.writer))
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			l.end = audit.Chain{}
		case err != nil:
			return err
		default:
			l.end = audit.ChainAt(audit.Head{Writer: l.writer, Seq: int(end.Seq), Hash: end.Hash})
		}
	}
	key, err := l.key()
	if err != nil {
		return err
	}
	l.end = l.end.WithKey(key)
	row := l.end.Next(l.writer, e)
	l.unsure = true
	if err := q.AppendAudit(ctx, authdb.AppendAuditParams(auditRow(row))); err != nil {
		return err
	}
	l.unsure = false
	l.log.InfoContext(ctx, "audit", "actor", row.Actor, "action", row.Action, "subject", row.Subject,
		"outcome", string(row.Outcome), "writer", row.Writer.String(), "seq", row.Seq, "hash", hex.EncodeToString(row.Hash))
	return l.end.Follow(row)
}

// AuditTrail implements ports.AuditTrail. It is safe for concurrent use.
type AuditTrail struct {
	pool *pgxpool.Pool
	page int64
}

var _ ports.AuditTrail = (*AuditTrail)(nil)

const auditPage = 1000

// NewAuditTrail works on the auth database.
func NewAuditTrail(pool *pgxpool.Pool) *AuditTrail { return &AuditTrail{pool, auditPage} }

// Rows reads in pages along the primary key, so that memory does not grow with the log. Writers come in PostgreSQL's
// order.
func (t *AuditTrail) Rows(ctx context.Context, yield func(audit.Row) error) error {
	return t.pages(authdb.AuditLog{}, yield, func(last authdb.AuditLog) ([]authdb.AuditLog, error) {
		return authdb.New(t.pool).AuditRowsAfter(ctx,
			authdb.AuditRowsAfterParams{Writer: last.Writer, Seq: last.Seq, Most: t.page})
	})
}

// RowsOf reads in pages.
func (t *AuditTrail) RowsOf(ctx context.Context, writer id.ID, after int, yield func(audit.Row) error) error {
	return t.pages(authdb.AuditLog{Seq: int64(after)}, yield, func(last authdb.AuditLog) ([]authdb.AuditLog, error) {
		return authdb.New(t.pool).AuditRowsOf(ctx,
			authdb.AuditRowsOfParams{Writer: uuid.UUID(writer), Seq: last.Seq, Most: t.page})
	})
}

// pages yields the rows after last, which read returns a page at a time.
func (t *AuditTrail) pages(
	last authdb.AuditLog, yield func(audit.Row) error, read func(last authdb.AuditLog) ([]authdb.AuditLog, error),
) error {
	for {
		rows, err := read(last)
		if err != nil {
			return translate("read audit log", err)
		}
		for _, row := range rows {
			if err := yield(auditNoun(row)); err != nil {
				return err
			}
			last = row
		}
		if int64(len(rows)) < t.page {
			return nil
		}
	}
}

// Heads finds each writer by the primary key.
func (t *AuditTrail) Heads(ctx context.Context) ([]audit.Head, error) {
	rows, err := authdb.New(t.pool).AuditWriters(ctx)
	return nouns(rows, err, "read heads of the audit log", func(row authdb.AuditWritersRow) audit.Head {
		return audit.Head{Writer: id.ID(row.Writer), Seq: int(row.Seq), Hash: row.Hash}
	})
}

// Checkpoints returns those above after, oldest first.
func (t *AuditTrail) Checkpoints(ctx context.Context, after int) ([]audit.Checkpoint, error) {
	rows, err := authdb.New(t.pool).AuditCheckpointsAfter(ctx, int64(after))
	if err != nil {
		return nil, translate("read audit checkpoints", err)
	}
	all := make([]audit.Checkpoint, len(rows))
	for i, row := range rows {
		if all[i], err = checkpointNoun(row); err != nil {
			return nil, translate("read audit checkpoints", err)
		}
	}
	return all, nil
}

// AddCheckpoint stores the checkpoint unless its number is taken.
func (t *AuditTrail) AddCheckpoint(ctx context.Context, c audit.Checkpoint) error {
	row, err := checkpointRow(c)
	if err != nil {
		return translate("write audit checkpoint", err)
	}
	stored, err := authdb.New(t.pool).AddAuditCheckpoint(ctx, row)
	return translate("write audit checkpoint", changed(stored, err, fault.StateConflict))
}

var _ ports.AuditPages = (*AuditTrail)(nil)

// Page reads a page and its count one after the other.
func (t *AuditTrail) Page(ctx context.Context, f audit.Filter) ([]audit.Entry, int, error) {
	q := authdb.New(t.pool)
	total, err := q.CountAudit(ctx, authdb.CountAuditParams{
		Actor: f.Actor, Action: f.Action, Subject: f.Subject, Since: f.Since, Most: audit.MaxCounted,
	})
	if err != nil {
		return nil, 0, translate("count audit rows", err)
	}
	rows, err := q.AuditPage(ctx, authdb.AuditPageParams{
		Actor: f.Actor, Action: f.Action, Subject: f.Subject, Since: f.Since, Skip: skip(f.Page, f.Size), Size: int64(f.Size),
	})
	if err != nil {
		return nil, 0, translate("read audit rows", err)
	}
	return each(rows, func(r authdb.AuditLog) audit.Entry { return auditNoun(r).Entry }), int(total), nil
}

func auditRow(r audit.Row) authdb.AuditLog {
	return authdb.AuditLog{
		Writer: uuid.UUID(r.Writer), Seq: int64(r.Seq), At: r.At, Actor: r.Actor, Action: r.Action, Subject: r.Subject,
		Reason:  r.Reason,
		Outcome: string(r.Outcome), Detail: r.Detail, Ip: r.IP, PreviousHash: r.Previous, Hash: r.Hash, Keyed: r.Keyed,
	}
}

func auditNoun(row authdb.AuditLog) audit.Row {
	return audit.Row{
		Entry: audit.Entry{
			Writer: id.ID(row.Writer), Seq: int(row.Seq), At: row.At.UTC(), Actor: row.Actor, Action: row.Action,
			Subject: row.Subject, Reason: row.Reason, Outcome: audit.Outcome(row.Outcome), Detail: row.Detail, IP: row.Ip,
		},
		Previous: row.PreviousHash, Hash: row.Hash, Keyed: row.Keyed,
	}
}

type headRow struct {
	Writer string `json:"writer"`
	Seq    int    `json:"seq"`
	Hash   string `json:"hash"`
}

func checkpointRow(c audit.Checkpoint) (authdb.AddAuditCheckpointParams, error) {
	heads := make([]headRow, len(c.Heads))
	for i, h := range c.Heads {
		heads[i] = headRow{h.Writer.String(), h.Seq, hex.EncodeToString(h.Hash)}
	}
	text, err := json.Marshal(heads)
	return authdb.AddAuditCheckpointParams{
		Seq: int64(c.Seq), At: c.At, Heads: string(text), PreviousHash: c.Previous, Hash: c.Hash, Kid: c.KeyID,
		Signature: c.Signature, Closes: c.Closes,
	}, err
}

// checkpointNoun leaves out a head that cannot be read: the hash of the checkpoint then shows that it was changed.
func checkpointNoun(row authdb.AuditCheckpoint) (audit.Checkpoint, error) {
	c := audit.Checkpoint{
		Seq: int(row.Seq), At: row.At.UTC(), Previous: row.PreviousHash, Hash: row.Hash, KeyID: row.Kid,
		Signature: row.Signature, Closes: row.Closes,
	}
	var heads []headRow
	if err := json.Unmarshal([]byte(row.Heads), &heads); err != nil {
		return c, audit.TamperedError{Seq: c.Seq, Why: fmt.Sprintf("its heads cannot be read (%T)", err)}
	}
	for _, h := range heads {
		writer, err1 := id.Parse(h.Writer)
		hash, err2 := hex.DecodeString(h.Hash)
		if err1 == nil && err2 == nil {
			c.Heads = append(c.Heads, audit.Head{Writer: writer, Seq: h.Seq, Hash: hash})
		}
	}
	return c, nil
}
