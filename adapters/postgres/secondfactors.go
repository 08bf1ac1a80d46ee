package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"phonebill/adapters/postgres/internal/authdb"
	"phonebill/core/auth"
	"phonebill/core/fault"
	"phonebill/core/personal"
	"phonebill/core/sealing"
	"phonebill/ports"
)

// SecondFactors implements ports.SecondFactors. Secrets are sealed, bound to their account; recovery codes are keyed
// hashes.
type SecondFactors struct {
	pool  *pgxpool.Pool
	vault ports.Vault
}

var _ ports.SecondFactors = (*SecondFactors)(nil)

// NewSecondFactors works on the auth database.
func NewSecondFactors(pool *pgxpool.Pool, vault ports.Vault) *SecondFactors {
	return &SecondFactors{pool, vault}
}

// totpPlace has no keys: its name holds the only one, the account.
func totpPlace(user auth.UserID) sealing.Place {
	return sealing.At("auth.user_totp.secret:" + string(user))
}

func (f *SecondFactors) index(user auth.UserID, code personal.Secret) []byte {
	return f.vault.Index("auth.user_recovery_codes.code", string(user)+"\x00"+code.Reveal())
}

// Get returns the account's TOTP.
func (f *SecondFactors) Get(ctx context.Context, user auth.UserID) (auth.TOTP, error) {
	row, err := authdb.New(f.pool).SecondFactor(ctx, string(user))
	if err != nil {
		return auth.TOTP{}, translate("read second factor", err, fault.ResourceNotFound)
	}
	return f.noun(user, row)
}

func (f *SecondFactors) noun(user auth.UserID, row authdb.UserTotp) (auth.TOTP, error) {
	secret, err := f.vault.Open(totpPlace(user), row.SecretSealed)
	if err != nil {
		return auth.TOTP{}, translate("open second factor", err)
	}
	t := auth.TOTP{
		Secret: personal.NewSecret(string(secret)), CreatedAt: row.CreatedAt.UTC(), ConfirmedAt: moment(row.ConfirmedAt),
		LastStep: row.LastStep,
	}
	if row.NextSealed == nil {
		return t, nil
	}
	next, err := f.vault.Open(totpPlace(user), row.NextSealed)
	if err != nil {
		return auth.TOTP{}, translate("open next second factor", err)
	}
	t.Next, t.NextCreatedAt = personal.NewSecret(string(next)), moment(row.NextCreatedAt)
	return t, nil
}

// BeginNext stores a secret beside the confirmed one.
func (f *SecondFactors) BeginNext(ctx context.Context, user auth.UserID, t auth.TOTP) error {
	sealed, err := f.vault.Seal(totpPlace(user), []byte(t.Secret.Reveal()))
	if err != nil {
		return translate("seal second factor", err)
	}
	stored, err := authdb.New(f.pool).BeginNextFactor(ctx, authdb.BeginNextFactorParams{
		UserID: string(user), NextSealed: sealed, NextCreatedAt: optional(t.CreatedAt),
	})
	return translate("begin next second factor", changed(stored, err, fault.StateConflict))
}

// Begin stores an unconfirmed TOTP in one statement.
func (f *SecondFactors) Begin(ctx context.Context, user auth.UserID, t auth.TOTP) error {
	sealed, err := f.vault.Seal(totpPlace(user), []byte(t.Secret.Reveal()))
	if err != nil {
		return translate("seal second factor", err)
	}
	stored, err := authdb.New(f.pool).BeginSecondFactor(ctx, authdb.BeginSecondFactorParams{
		UserID: string(user), SecretSealed: sealed, CreatedAt: t.CreatedAt,
	})
	return translate("begin second factor", changed(stored, err, fault.StateConflict))
}

// Confirm holds the row while it compares the secret.
func (f *SecondFactors) Confirm(ctx context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error {
	err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		row, err := q.LockSecondFactor(ctx, string(user))
		if err != nil {
			return err
		}
		held, err := f.noun(user, row)
		if err != nil {
			return err
		}
		begun, ok := held.Begun()
		if !ok || begun.Secret != t.Secret {
			return fault.New(fault.StateConflict)
		}
		t.CreatedAt = begun.CreatedAt
		return f.count(ctx, q, user, t, codes)
	})
	return translate("confirm second factor", err, fault.StateConflict)
}

// count confirms the TOTP and replaces the recovery codes.
func (f *SecondFactors) count(
	ctx context.Context, q *authdb.Queries, user auth.UserID, t auth.TOTP, codes []personal.Secret,
) error {
	indexes := each(codes, func(code personal.Secret) []byte { return f.index(user, code) })
	sealed, err := f.vault.Seal(totpPlace(user), []byte(t.Secret.Reveal()))
	if err != nil {
		return err
	}
	if err := q.ConfirmSecondFactor(ctx, authdb.ConfirmSecondFactorParams{
		UserID: string(user), SecretSealed: sealed, CreatedAt: t.CreatedAt, ConfirmedAt: optional(t.ConfirmedAt),
		LastStep: t.LastStep,
	}); err != nil {
		return err
	}
	if err := q.DropRecoveryCodes(ctx, string(user)); err != nil {
		return err
	}
	return q.AddRecoveryCodes(ctx, authdb.AddRecoveryCodesParams{UserID: string(user), Indexes: indexes})
}

// Accept raises last_step in one statement.
func (f *SecondFactors) Accept(ctx context.Context, user auth.UserID, step int64) (bool, error) {
	n, err := authdb.New(f.pool).AcceptStep(ctx, authdb.AcceptStepParams{UserID: string(user), Step: step})
	return n == 1, translate("accept code", err)
}

// UseRecoveryCode marks the code used in one statement.
func (f *SecondFactors) UseRecoveryCode(
	ctx context.Context, user auth.UserID, code personal.Secret, at time.Time,
) (bool, error) {
	n, err := authdb.New(f.pool).UseRecoveryCode(ctx, authdb.UseRecoveryCodeParams{
		UserID: string(user), CodeIndex: f.index(user, code), UsedAt: optional(at),
	})
	return n == 1, translate("use recovery code", err)
}

// Replace deletes the second factor and begins a new one in one transaction.
func (f *SecondFactors) Replace(ctx context.Context, user auth.UserID, t auth.TOTP, codes []personal.Secret) error {
	sealed, err := f.vault.Seal(totpPlace(user), []byte(t.Secret.Reveal()))
	if err != nil {
		return translate("seal second factor", err)
	}
	err = pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := errors.Join(q.LockUser(ctx, string(user)), f.forget(ctx, q, user)); err != nil {
			return err
		}
		if _, err := q.BeginSecondFactor(ctx, authdb.BeginSecondFactorParams{
			UserID: string(user), SecretSealed: sealed, CreatedAt: t.CreatedAt,
		}); err != nil {
			return err
		}
		return f.count(ctx, q, user, t, codes)
	})
	return translate("replace second factor", err)
}

// Remove deletes the second factor in one transaction, behind the account's row as a change of its roles is.
func (f *SecondFactors) Remove(ctx context.Context, user auth.UserID) error {
	err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		q := authdb.New(tx)
		if err := q.LockUser(ctx, string(user)); err != nil {
			return err
		}
		staff, err := q.IsStaff(ctx, string(user))
		if err != nil {
			return err
		}
		if staff {
			return fault.New(fault.StateConflict).WithDetail("reason", "STAFF_NEEDS_SECOND_FACTOR")
		}
		return f.forget(ctx, q, user)
	})
	return translate("remove second factor", err)
}

func (f *SecondFactors) forget(ctx context.Context, q *authdb.Queries, user auth.UserID) error {
	if err := q.DropRecoveryCodes(ctx, string(user)); err != nil {
		return err
	}
	return q.DropSecondFactor(ctx, string(user))
}
