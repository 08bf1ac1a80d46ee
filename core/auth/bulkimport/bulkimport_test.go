package bulkimport_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/memory"
	"phonebill/core/auth"
	"phonebill/core/auth/bulkimport"
	"phonebill/core/fault"
	"phonebill/core/id"
	"phonebill/core/personal"
)

var (
	start    = time.Date(2026, 11, 21, 3, 0, 0, 0, time.UTC)
	errStore = errors.New("store is in trouble")
)

const hash = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

type accounts struct {
	memory.Accounts
	knownBroken, addBroken bool
	batches                int
	onAdd                  func()
}

func (a *accounts) Known(ctx context.Context, users []auth.UserID) (map[auth.UserID]time.Time, error) {
	if a.knownBroken {
		return nil, errStore
	}
	return a.Accounts.Known(ctx, users)
}

func (a *accounts) AddAll(ctx context.Context, users []auth.User) (int, error) {
	if a.batches++; a.onAdd != nil {
		a.onAdd()
	}
	if a.addBroken {
		return 0, errStore
	}
	return a.Accounts.AddAll(ctx, users)
}

type hasher struct {
	memory.Hasher
	broken bool
}

func (h *hasher) Hash(ctx context.Context, p personal.Secret) (personal.Secret, error) {
	if h.broken {
		return personal.Secret{}, errStore
	}
	return h.Hasher.Hash(ctx, p)
}

type world struct {
	bulkimport.Service
	accounts accounts
	users    memory.Users
	trail    memory.AuditTrail
	hasher   hasher
	now      time.Time
	refused  []string
	shown    []bulkimport.Result
}

func newWorld() *world {
	w := &world{now: start}
	w.accounts.Users, w.accounts.Guesses = &w.users, &memory.Guesses{}
	w.Service = bulkimport.Service{
		Accounts: &w.accounts, Hasher: &w.hasher, Audit: w.trail.Log(id.ID{1}), Now: func() time.Time { return w.now },
		NewID: func() id.ID { return id.ID{1} },
		CheckPassword: func(field string, _ auth.UserID, p personal.Secret) error {
			if len(p.Reveal()) < 8 {
				return fault.InvalidField(field, "짧습니다")
			}
			return nil
		},
	}
	return w
}

func (w *world) run(ctx context.Context, rows iter.Seq[bulkimport.Row]) (bulkimport.Result, error) {
	w.refused = nil
	return w.Run(ctx, bulkimport.Load{
		By: "cli:root", Source: "f.csv", Reason: "고객 이관",
		Refused: func(r bulkimport.Row, err error) error {
			w.refused = append(w.refused, fmt.Sprint(r.Line, " ", fault.From(err).Fields()[0].Name))
			return nil
		},
		Progress: func(r bulkimport.Result) { w.shown = append(w.shown, r) },
	}, rows)
}

func many(n int) iter.Seq[bulkimport.Row] {
	return func(yield func(bulkimport.Row) bool) {
		for i := range n {
			r := bulkimport.Row{Line: i + 2, UserID: fmt.Sprint("user-", i), Name: "홍길동",
				Password: personal.NewSecret("long enough")}
			if !yield(r) {
				return
			}
		}
	}
}

func outcomes(w *world) []string {
	var out []string
	for _, e := range w.trail.Entries() {
		out = append(out, e.Action+" "+string(e.Outcome))
	}
	return out
}

func TestALoadCanBeRunAgain(t *testing.T) {
	t.Parallel()
	w := newWorld()
	done, err := w.run(t.Context(), many(2600))
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: 2600, Added: 2600}, done)
	require.Equal(t, 52, w.accounts.batches, "an interruption loses few hashed passwords")
	require.Equal(t, []bulkimport.Result{{Read: 50, Added: 50}, {Read: 100, Added: 100}}, w.shown[:2])
	require.Equal(t, done, w.shown[51])
	u, err := w.users.ByID(t.Context(), "user-7")
	require.NoError(t, err)
	require.Equal(t, []auth.Role{auth.Customer}, u.Roles)
	require.Equal(t, start, u.CreatedAt)
	ok, _, err := w.hasher.Matches(t.Context(), u.PasswordHash, personal.NewSecret("long enough"))
	require.NoError(t, err)
	require.True(t, ok)

	w.now, w.hasher.broken = start.Add(time.Hour), true
	done, err = w.run(t.Context(), many(2600))
	require.NoError(t, err, "nothing is hashed for those that are there")
	require.Equal(t, bulkimport.Result{Read: 2600, Skipped: 2600}, done)
	require.Equal(t, []string{"USERS_IMPORTED INTENDED", "USERS_IMPORTED DONE", "USERS_IMPORTED INTENDED",
		"USERS_IMPORTED DONE"}, outcomes(w))
	require.JSONEq(t, `{"call":"01000000-0000-0000-0000-000000000000","source":"f.csv","read":2600,"added":2600,
		"skipped":0,"refused":0}`,
		w.trail.Entries()[1].Detail)
}

func TestRowsWithHashesComeInBigBatches(t *testing.T) {
	t.Parallel()
	w := newWorld()
	_, err := w.run(t.Context(), func(yield func(bulkimport.Row) bool) {
		for r := range many(600) {
			r.Password, r.PasswordHash = personal.Secret{}, personal.NewSecret(hash)
			if !yield(r) {
				return
			}
		}
	})
	require.NoError(t, err)
	require.Equal(t, 3, w.accounts.batches)
}

func TestAnInterruptedImportStoresWholeBatches(t *testing.T) {
	t.Parallel()
	w := newWorld()
	ctx, stop := context.WithCancel(t.Context())
	w.accounts.onAdd = func() {
		if w.accounts.batches == 2 {
			stop()
		}
	}
	done, err := w.run(ctx, many(5000))
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, bulkimport.Result{Read: 100, Added: 100}, done)
	require.Equal(t, []string{"USERS_IMPORTED INTENDED", "USERS_IMPORTED INTERRUPTED"}, outcomes(w))
	w.accounts.onAdd, w.now = nil, start.Add(time.Minute)
	done, err = w.run(t.Context(), many(5000))
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: 5000, Added: 4900, Skipped: 100}, done)
}

func TestRowsAreRefusedForAReason(t *testing.T) {
	t.Parallel()
	secret := personal.NewSecret("long enough")
	good := bulkimport.Row{
		UserID: "good", Name: "홍길동", PasswordHash: personal.NewSecret(hash), Phone: "010-1234-5678", Email: "a@b.kr",
		CustomerID: "C-1", Lines: []string{"01012345678", "010-8765-4321"},
		Permissions: []string{"bill_inquiry", "BILL_INQUIRY", "PRODUCT_CHANGE"},
	}
	with := func(f func(*bulkimport.Row)) bulkimport.Row { r := good; f(&r); return r }
	rows := []bulkimport.Row{
		good,
		with(func(r *bulkimport.Row) { r.Name = "again" }),
		with(func(r *bulkimport.Row) { r.UserID = "a b" }),
		with(func(r *bulkimport.Row) { r.UserID, r.Name = "n1", "" }),
		with(func(r *bulkimport.Row) { r.UserID, r.Phone = "n2", "1" }),
		with(func(r *bulkimport.Row) { r.UserID, r.Email = "n3", "x" }),
		with(func(r *bulkimport.Row) { r.UserID, r.CustomerID = "n44", "고객" }),
		with(func(r *bulkimport.Row) { r.UserID, r.Lines = "n55", []string{"1"} }),
		with(func(r *bulkimport.Row) { r.UserID, r.Lines = "n66", []string{"01012345678", "01012345678"} }),
		with(func(r *bulkimport.Row) { r.UserID, r.Permissions = "n77", []string{"ALL"} }),
		with(func(r *bulkimport.Row) { r.UserID, r.Permissions = "n88", []string{"USER_ADMIN"} }),
		with(func(r *bulkimport.Row) { r.UserID, r.PasswordHash = "n99", personal.NewSecret("$2y$10$x") }),
		with(func(r *bulkimport.Row) { r.UserID, r.PasswordHash = "n10", personal.Secret{} }),
		with(func(r *bulkimport.Row) { r.UserID, r.Password = "n11", secret }),
		with(func(r *bulkimport.Row) {
			r.UserID, r.PasswordHash, r.Password = "n12", personal.Secret{}, personal.NewSecret("short")
		}),
		with(func(r *bulkimport.Row) { r.UserID, r.Bad = "n13", fault.InvalidField("line", "x") }),
		with(func(r *bulkimport.Row) { r.UserID = "taken" }),
	}
	for i := range rows {
		rows[i].Line = i
	}
	rows[3].UserID, rows[4].UserID, rows[5].UserID = "n111", "n222", "n333"
	w := newWorld()
	require.NoError(t, w.users.Create(t.Context(), auth.User{UserID: "taken", CreatedAt: start.Add(-time.Hour)}))
	done, err := w.run(t.Context(), slices.Values(rows))
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: len(rows), Added: 1, Skipped: 1, Refused: 15}, done)
	require.Equal(t, []string{
		"1 user_id", "2 user_id", "3 name", "4 phone", "5 email", "6 customer_id", "7 lines", "8 lines", "9 permissions",
		"10 permissions", "11 password_hash", "12 password", "13 password", "14 password", "15 line",
	}, w.refused)
	u, err := w.users.ByID(t.Context(), "good")
	require.NoError(t, err)
	require.Equal(t, hash, u.PasswordHash.Reveal())
	require.Equal(t, []auth.Permission{auth.BillInquiry, auth.ProductChange}, u.Permissions(start))
	require.Equal(t, "cli:root", u.Grants[0].GrantedBy)
}

func TestAnIdThatComesTwiceInOneSourceIsRefusedFarApart(t *testing.T) {
	t.Parallel()
	w := newWorld()
	rows := slices.AppendSeq(slices.Collect(many(1500)), many(1))
	done, err := w.run(t.Context(), slices.Values(rows))
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: 1501, Added: 1500, Refused: 1}, done)
	require.Equal(t, []string{"2 user_id"}, w.refused)
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func(*world){
		"known": func(w *world) { w.accounts.knownBroken = true },
		"add":   func(w *world) { w.accounts.addBroken = true },
		"hash":  func(w *world) { w.hasher.broken = true },
	} {
		w := newWorld()
		hurt(w)
		done, err := w.run(t.Context(), many(3))
		require.ErrorIs(t, err, errStore, name)
		require.Zero(t, done, name)
		require.Equal(t, []string{"USERS_IMPORTED INTENDED", "USERS_IMPORTED INTERNAL_SERVER_ERROR"}, outcomes(w))
	}
	w := newWorld()
	_, err := w.Run(t.Context(), bulkimport.Load{Reason: "x"}, many(1))
	require.ErrorIs(t, err, fault.New(fault.ValidationError))
	bad := bulkimport.Load{
		By: "cli:root", Reason: "고객 이관", Refused: func(bulkimport.Row, error) error { return errStore },
	}
	_, err = w.Run(t.Context(), bad, slices.Values([]bulkimport.Row{{Bad: fault.InvalidField("line", "x")}}))
	require.ErrorIs(t, err, errStore)
}

// TestALoadTakesNoHeldLine: neither one of an account that is there, nor one of an earlier row, of the same batch or
// another.
func TestALoadTakesNoHeldLine(t *testing.T) {
	t.Parallel()
	w := newWorld()
	rows := func(yield func(bulkimport.Row) bool) {
		row := func(n int, user, number string, hashed bool) bulkimport.Row {
			r := bulkimport.Row{Line: n, UserID: user, Name: "홍길동", Lines: []string{number}}
			if r.Password = personal.NewSecret("long enough"); hashed {
				r.Password, r.PasswordHash = personal.Secret{}, personal.NewSecret(hash)
			}
			return r
		}
		_ = yield(row(2, "owner", "01011111111", false)) && yield(row(3, "thief", "010-1111-1111", true)) &&
			yield(row(4, "other", "01022222222", true))
	}
	done, err := w.run(t.Context(), rows)
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: 3, Added: 2, Refused: 1}, done)
	require.Equal(t, []string{"3 lines"}, w.refused)
	w.now = w.now.Add(time.Hour)
	done, err = w.run(t.Context(), rows)
	require.NoError(t, err)
	require.Equal(t, bulkimport.Result{Read: 3, Skipped: 2, Refused: 1}, done,
		"going on refuses it again, and not its owner")
	owner, err := w.users.ByID(t.Context(), "owner")
	require.NoError(t, err)
	require.True(t, owner.InitialPassword, "a password in clear was chosen by the author of the file")
	other, err := w.users.ByID(t.Context(), "other")
	require.NoError(t, err)
	require.False(t, other.InitialPassword, "a hash is of a password that the owner chose")
}
