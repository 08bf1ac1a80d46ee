package auth

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
	"phonebill/cmd/internal/compose/service"
	"phonebill/cmd/internal/compose/stores"
	"phonebill/core/audit"
	"phonebill/core/audit/trail"
	"phonebill/core/auth"
	"phonebill/core/auth/admin"
	"phonebill/core/auth/bulkimport"
	"phonebill/core/auth/selfservice"
	"phonebill/core/line"
	"phonebill/core/operations"
	"phonebill/migrations"
	"phonebill/ports"
)

// attestInterval is how often the audit log gets a signed checkpoint, when there is something new.
const attestInterval = time.Minute

// administration is what staff do to accounts, for the API and for the command line alike.
type administration struct {
	service.Tools
	pool     *pgxpool.Pool
	keyring  ports.Vault
	sessions ports.Sessions
	hasher   ports.PasswordHasher
	push     ports.RevocationPush
	report   ports.Report
	alerts   ports.Alerts
	policy   auth.SessionPolicy
	searches int // exact searches per person and hour; 0 = the default
	process  boot.Process
}

func (s administration) service(log ports.AuditLog) *admin.Service {
	users, history := postgres.NewUsers(s.pool, s.keyring), postgres.NewLoginHistory(s.pool, s.keyring)
	return &admin.Service{
		Users: users, Accounts: postgres.NewAccounts(s.pool, s.keyring), Sessions: s.sessions,
		History: history, Records: history, Guesses: postgres.NewGuesses(s.pool, s.keyring, auth.DefaultLockout()),
		Hasher: s.hasher, Audit: log, Push: s.push, Report: s.report, Alerts: s.alerts,
		Transfers: postgres.NewLineTransfers(s.pool, s.keyring),
		Searches:  postgres.NewExactSearches(s.pool), SearchesPerHour: cmp.Or(s.searches, defaultSearches),
		LineIndex: func(n line.Number) string {
			return hex.EncodeToString(s.keyring.Index(ports.LineIndex, n.Digits()))
		},
		Factors: &selfservice.SecondFactors{
			Users: users, Factors: postgres.NewSecondFactors(s.pool, s.keyring), Codes: credentials.OneTimeCodes{},
			History: history, Push: s.push, Now: s.Now, NewID: s.NewID,
		},
		Keys: signingKeys(postgres.NewSigningKeys(s.pool, s.keyring), s.Now), Services: postgres.NewServiceKeys(s.pool),
		CheckPassword: auth.CheckPassword, Policy: s.policy, Now: s.Now, NewID: s.NewID,
		BenchTier: s.process.Development(),
	}
}

func (s administration) auditLog() *postgres.AuditLog {
	return postgres.NewAuditLog(s.pool, s.keyring, s.NewID(), s.Log)
}

// attester ties the audit log together.
func (s administration) attester() *trail.Attester {
	return &trail.Attester{
		Trail: postgres.NewAuditTrail(s.pool), Now: s.Now,
		Signer: jose.NewSigner(postgres.NewSigningKeys(s.pool, s.keyring), s.Now),
		Keys:   postgres.AuditKeys(s.keyring), Close: postgres.AuditClosing(s.pool, stores.FormsSettle),
	}
}

// reportAttestation makes an attester write its last checkpoint to the log of the process: kept on another machine, it
// is an anchor. A forged row is an alert.
func reportAttestation(b *service.Builder, s *trail.Attester) *trail.Attester {
	s.Head = func(ctx context.Context, last audit.Mark) {
		b.Log.InfoContext(ctx, "audit checkpoint", "seq", last.Seq, "hash", hex.EncodeToString(last.Hash))
	}
	s.Forged = func(ctx context.Context, broken audit.BrokenError) {
		b.Alerts.Raise(ctx, operations.Alert{
			Kind: operations.AuditForged, Subject: fmt.Sprintf("%s/%d", broken.Writer, broken.Seq),
			Note: broken.Why + "; its chain is not attested",
		})
	}
	return s
}

// AdminConfig is what the command line works on: the stores of the auth service, and the token that all services share.
type AdminConfig struct {
	Database    Database
	Stores      stores.Config
	InternalAPI service.InternalAPI
	Sessions    Sessions
	Searches    Searches
	Process     boot.Process
}

// LoadAdmin reads the configuration; its error names every fault.
func LoadAdmin(env boot.Env) (AdminConfig, error) { return boot.Load[AdminConfig](env) }

// Validate implements boot.Config.
func (c AdminConfig) Validate(f *boot.Faults) {
	c.Stores.Validate(f)
	c.Sessions.Validate(f)
}

// defaultSearches is how many exact searches a member of staff has in an hour.
const defaultSearches = 30

// Admin is the command line's share of the auth service: the same verbs on the same stores.
type Admin struct {
	Users  *admin.Service
	Intake *bulkimport.Service
	Attest *trail.Attester
	Audit  ports.AuditLog
	Log    *trail.Reader // how the audit log is read
	// Maintenance is when customers' operations are switched off.
	Maintenance ports.MaintenanceSwitch
	Now         ports.Clock
	NewID       ports.IDs
	close       []func()
}

// OpenAdmin wires it; Close it at the end.
func OpenAdmin(ctx context.Context, c AdminConfig, t service.Tools) (*Admin, error) {
	a := &Admin{Now: t.Now, NewID: t.NewID}
	keyring, err := vault.Open(c.Stores.Keyring)
	if err != nil {
		return nil, err
	}
	pool, err := postgres.Pool(ctx, c.Database.URL.Reveal(), postgres.PoolConfig{Name: "phonebillctl", MaxConns: 4})
	if err != nil {
		return nil, err
	}
	a.close = append(a.close, pool.Close)
	a.Maintenance = postgres.NewMaintenance(pool)
	a.followForms(ctx, keyring, pool)
	if err := postgres.Ping(pool)(ctx); err != nil {
		a.Close()
		return nil, errors.Join(errors.New("the auth database does not answer"), err)
	}
	cache, err := valkey.Open(ctx, valkey.Config{
		Addr: c.Stores.Addr, Cluster: c.Stores.Cluster, Password: c.Stores.Password, Mini: c.Stores.Mini,
		Namespace: "phonebill", Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		a.Close()
		return nil, err
	}
	a.close = append(a.close, cache.Close)
	push, err := valkey.NewPush(cache, c.InternalAPI.Token, t.Log)
	if err != nil {
		a.Close()
		return nil, err
	}
	staff := administration{
		Tools: t, pool: pool, keyring: keyring,
		sessions: valkey.NewCachedSessions(cache, postgres.NewSessions(pool), keyring, t.Log),
		hasher:   credentials.NewBulkHasher(credentials.DefaultHashParams()),
		alerts:   logsink.NewAlerts(t.Log, nil),
		policy:   c.Sessions.Policy(),
		searches: c.Searches.PerHour,
		process:  c.Process,
		push:     push, // instances that it does not reach learn of it by the pull
		report: func(ctx context.Context, err error) {
			t.Log.ErrorContext(ctx, "not in the audit log", "error", err.Error())
		},
	}
	log := staff.auditLog()
	a.Users, a.Attest, a.Audit = staff.service(log), staff.attester(), log
	a.Log = &trail.Reader{
		Pages: postgres.NewAuditTrail(pool),
		Log:   trail.Log{Audit: log, Report: staff.report, Now: t.Now, NewID: t.NewID},
	}
	a.Intake = &bulkimport.Service{
		Accounts: postgres.NewAccounts(pool, keyring), Hasher: staff.hasher, Audit: log, CheckPassword: auth.CheckPassword,
		Now: t.Now, NewID: t.NewID,
	}
	return a, nil
}

// followForms seals as the auth database says, also when that changes while a command runs.
func (a *Admin) followForms(ctx context.Context, v *vault.Vault, pool *pgxpool.Pool) {
	f := stores.NewForms(v)
	f.Add(ctx, migrations.Auth, postgres.NewSealingForm(migrations.Auth, pool))
	ctx, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for sleep(ctx, stores.FormsInterval) == nil {
			_ = f.Read(ctx) // the last form stays; a database that is away fails the command itself
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
