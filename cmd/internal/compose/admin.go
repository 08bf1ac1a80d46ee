package compose

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"phonebill/adapters/credentials"
	"phonebill/adapters/jose"
	"phonebill/adapters/logsink"
	"phonebill/adapters/postgres"

	"phonebill/adapters/valkey"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/boot"
	"phonebill/core/alert"
	"phonebill/core/audit"
	"phonebill/core/audit/attest"
	"phonebill/core/staff/audittrail"

	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/bulkimport"
	"phonebill/core/auth/selfservice"
	"phonebill/core/line"
	"phonebill/core/personal"
	"phonebill/migrations"
	"phonebill/ports"
)

// attestEvery is how often the audit log gets a signed checkpoint, when there is something new.
const attestEvery = time.Minute

// staffRoom is what administration is made of beside the stores: one log of this process, and what spreads what it ends.
type staffRoom struct {
	Tools
	pool     *pgxpool.Pool
	keyring  ports.Vault
	sessions ports.Sessions
	hasher   ports.PasswordHasher
	push     ports.RevocationPush
	report   ports.Report
	alerts   ports.Alerts
	policy   auth.SessionPolicy
	searches int // exact searches per person and hour
}

// administration wires what staff do to accounts, for the API and for the command line alike.
func (s staffRoom) administration(log ports.AuditLog) *admin.Service {
	users, history := postgres.NewUsers(s.pool, s.keyring), postgres.NewLoginHistory(s.pool, s.keyring)
	return &admin.Service{
		Users: users, Accounts: postgres.NewAccounts(s.pool, s.keyring), Sessions: s.sessions, History: history, Records: history,
		Guesses: postgres.NewGuesses(s.pool, s.keyring, auth.DefaultLockout()), Hasher: s.hasher, Audit: log, Push: s.push, Report: s.report,
		Alerts: s.alerts, Transfers: postgres.NewLineTransfers(s.pool, s.keyring),
		Searches: postgres.NewExactSearches(s.pool), SearchesPerHour: cmp.Or(s.searches, defaultSearches),
		LineIndex: func(n line.Number) string { return hex.EncodeToString(s.keyring.Index(ports.LineIndex, n.Digits())) },
		Factors: &selfservice.SecondFactors{
			Users: users, Factors: postgres.NewSecondFactors(s.pool, s.keyring), Codes: credentials.OneTimeCodes{}, History: history, Push: s.push,
			Now: s.Now, NewID: s.NewID,
		},
		Keys:     signingKeys(postgres.NewSigningKeys(s.pool, s.keyring), s.Now),
		Services: postgres.NewServiceKeys(s.pool), CheckPassword: auth.CheckPassword, Policy: s.policy, Now: s.Now, NewID: s.NewID,
	}
}

func (s staffRoom) auditLog() *postgres.AuditLog {
	return postgres.NewAuditLog(s.pool, s.keyring, s.NewID(), s.Log)
}

// attester ties the audit log together.
func (s staffRoom) attester() *attest.Service {
	return &attest.Service{
		Trail: postgres.NewAuditTrail(s.pool), Signer: jose.NewSigner(postgres.NewSigningKeys(s.pool, s.keyring), s.Now), Now: s.Now,
		Keys: postgres.AuditKeys(s.keyring), Close: postgres.AuditClosing(s.pool, formsSettle),
	}
}

// attesting is attester for the worker, which writes the last checkpoint down in the log: kept on another machine, it
// is an anchor.
func (p *parts) attesting(s *attest.Service) *attest.Service {
	s.Head = func(ctx context.Context, last audit.Mark) {
		p.Log.InfoContext(ctx, "audit checkpoint", "seq", last.Seq, "hash", hex.EncodeToString(last.Hash))
	}
	s.Forged = func(ctx context.Context, broken audit.BrokenError) {
		p.alerts.Raise(ctx, alert.Alert{
			Kind: alert.AuditForged, Subject: fmt.Sprintf("%s/%d", broken.Writer, broken.Seq), Note: broken.Why + "; its chain is not attested",
		})
	}
	return s
}

// AdminConfig is what the command line works on: the stores of the auth service, and the token that all services share.
type AdminConfig struct {
	Data
	InternalToken personal.Secret
	Sessions      auth.SessionPolicy
	Searches      int // exact searches per person and hour; 0 = 30
}

// defaultSearches is how many exact searches a member of staff has in an hour.
const defaultSearches = 30

// ReadSearches reads STAFF_SEARCHES_PER_HOUR: how many exact searches for a line a member of staff has in an hour.
func ReadSearches(r *boot.Reader) int {
	const most = 10_000
	return r.Int("STAFF_SEARCHES_PER_HOUR", defaultSearches, 1, most)
}

// ReadAdmin reads AUTH_DATABASE_URL, KEYRING_FILE, VALKEY_ADDR, INTERNAL_TOKEN, STAFF_SEARCHES_PER_HOUR and the rest as the auth
// service does.
func ReadAdmin(env boot.Env) (AdminConfig, error) {
	r := env.Read()
	c := AdminConfig{
		Data: data(r, "AUTH_DATABASE_URL"), InternalToken: personal.NewSecret(r.String("INTERNAL_TOKEN", "")), Sessions: ReadSessions(r),
		Searches: ReadSearches(r),
	}
	return c, r.Err()
}

// Admin is the command line's share of the auth service: the same verbs on the same stores.
type Admin struct {
	Users  *admin.Service
	Intake *bulkimport.Service
	Attest *attest.Service
	Audit  ports.AuditLog
	Log    *audittrail.Reader // how the audit log is read
	Now    ports.Clock
	NewID  ports.IDs
	close  []func()
}

// OpenAdmin wires it; Close it at the end.
func OpenAdmin(ctx context.Context, c AdminConfig, t Tools) (*Admin, error) {
	a := &Admin{Now: t.Now, NewID: t.NewID}
	keyring, err := vault.Open(c.Keyring)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Pool(ctx, c.DatabaseURL.Reveal(), postgres.PoolConfig{Name: "phonebillctl", MaxConns: 4})
	if err != nil {
		return nil, err
	}
	a.close = append(a.close, pool.Close)
	a.obey(ctx, keyring, pool)
	if err := postgres.Ping(pool)(ctx); err != nil {
		a.Close()
		return nil, errors.Join(errors.New("the auth database does not answer"), err)
	}
	cache, err := valkey.Open(ctx, valkey.Config{
		Addr: c.Cache.Addr, Cluster: c.Cache.Cluster, Password: c.Cache.Password, Mini: c.Cache.Mini, Namespace: "phonebill",
		Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		a.Close()
		return nil, err
	}
	a.close = append(a.close, cache.Close)
	push, err := valkey.NewPush(cache, c.InternalToken, t.Log)
	if err != nil {
		a.Close()
		return nil, err
	}
	room := staffRoom{
		Tools: t, pool: pool, keyring: keyring,
		sessions: valkey.NewCachedSessions(cache, postgres.NewSessions(pool), keyring, t.Log),
		hasher:   credentials.NewBulkHasher(credentials.DefaultHashParams()),
		alerts:   logsink.NewAlerts(t.Log, nil),
		policy:   c.Sessions,
		searches: c.Searches,
		push:     push, // whom it does not reach hears of it by the pull
		report: func(ctx context.Context, err error) {
			t.Log.ErrorContext(ctx, "not in the audit log", "error", err.Error())
		},
	}
	log := room.auditLog()
	a.Users, a.Attest, a.Audit = room.administration(log), room.attester(), log
	a.Log = &audittrail.Reader{Pages: postgres.NewAuditTrail(pool), Log: audittrail.Log{Audit: log, Report: room.report, Now: t.Now, NewID: t.NewID}}
	a.Intake = &bulkimport.Service{
		Accounts: postgres.NewAccounts(pool, keyring), Hasher: room.hasher, Audit: log, CheckPassword: auth.CheckPassword,
		Now: t.Now, NewID: t.NewID,
	}
	return a, nil
}

// obey seals as the auth database says, also when that changes while a command runs.
func (a *Admin) obey(ctx context.Context, v *vault.Vault, pool *pgxpool.Pool) {
	f := &forms{vault: v}
	f.add(ctx, migrations.Auth, postgres.NewSealingForm(migrations.Auth, pool))
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for wait(ctx, formsEvery) == nil {
			_ = f.read(ctx) // what is known is believed; a database that is away fails the command itself
		}
	}()
	a.close = append(a.close, func() { stop(); <-done })
}

// Close lets go of everything, the last opened first.
func (a *Admin) Close() {
	for i := len(a.close) - 1; i >= 0; i-- {
		a.close[i]()
	}
}
