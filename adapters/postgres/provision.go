package postgres

import (
	"context"
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"github.com/jackc/pgx/v5"

	"phonebill/migrations"
)

// provisionLock is the advisory lock of provisioning in the admin's database ("phonebil" in ASCII).
const provisionLock int64 = 0x70686f6e6562696c

// Settings of the roles. A statement that takes longer than 10 s is far beyond the customer's 3 s; batch work raises
// its limit with SET LOCAL. A migration that waits for a lock blocks all others, so it gives up soon.
func appSettings() []string {
	return []string{
		"timezone = 'UTC'", "statement_timeout = '10s'", "lock_timeout = '3s'", "idle_in_transaction_session_timeout = '15s'",
	}
}

func ownerSettings() []string {
	return []string{"timezone = 'UTC'", "lock_timeout = '10s'", "idle_in_transaction_session_timeout = '60s'"}
}

// Provision makes the four databases and their eight roles where they are missing and sets rights, settings and
// passwords anew. It may run again and again, and in several processes at once (an advisory lock serialises them). The
// admin is a superuser, or on a managed server a role with CREATEDB and CREATEROLE.
func Provision(ctx context.Context, adminURL string, secrets Passwords) error {
	return provision(ctx, adminURL, secrets, func(ctx context.Context, admin *pgx.Conn, access Access) error {
		for _, db := range migrations.All() {
			if err := provisionDatabase(ctx, admin, access, db, DatabaseName(db)); err != nil {
				return err
			}
		}
		return nil
	})
}

// ProvisionAs makes one database of db's kind under another name, with db's roles: a test's template, a restore.
func ProvisionAs(ctx context.Context, adminURL string, secrets Passwords, db migrations.Database, name string) error {
	return provision(ctx, adminURL, secrets, func(ctx context.Context, admin *pgx.Conn, access Access) error {
		return provisionDatabase(ctx, admin, access, db, name)
	})
}

// provision runs work under the lock. The lock is the session's, so it is released even when this process is killed.
func provision(
	ctx context.Context, adminURL string, secrets Passwords, work func(context.Context, *pgx.Conn, Access) error,
) error {
	access, err := NewAccess(adminURL, secrets)
	if err != nil {
		return err
	}
	admin, err := pgx.Connect(ctx, adminURL)
	if err != nil {
		return fmt.Errorf("connect as admin: %w", err)
	}
	defer func() { _ = admin.Close(context.WithoutCancel(ctx)) }()
	if _, err := admin.Exec(ctx, "SELECT pg_advisory_lock($1)", provisionLock); err != nil {
		return fmt.Errorf("wait for other starters: %w", err)
	}
	return work(ctx, admin, access)
}

func provisionDatabase(ctx context.Context, admin *pgx.Conn, access Access, db migrations.Database, name string) error {
	if err := provisionRole(ctx, admin, OwnerRole(db), access.passwords[db].Owner, ownerSettings()); err != nil {
		return err
	}
	if err := provisionRole(ctx, admin, AppRole(db), access.passwords[db].App, appSettings()); err != nil {
		return err
	}
	var exists, super bool
	err := admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1),
		(SELECT rolsuper FROM pg_roles WHERE rolname = current_user)`, name).Scan(&exists, &super)
	if err != nil {
		return fmt.Errorf("look for database %s: %w", name, err)
	}
	if !super {
		// Giving a database to a role takes membership in it.
		if err := run(ctx, admin, "GRANT "+quote(OwnerRole(db))+" TO CURRENT_USER"); err != nil {
			return err
		}
	}
	if !exists {
		if err := run(ctx, admin, "CREATE DATABASE "+quote(name)+" OWNER "+quote(OwnerRole(db))); err != nil {
			return err
		}
	}
	if err := Seal(ctx, admin, db, name); err != nil {
		return err
	}
	// PostgreSQL 15 made this the default for new databases; one that was upgraded or copied may still be open.
	owner, err := pgx.Connect(ctx, access.OwnerURLOf(db, name))
	if err != nil {
		return fmt.Errorf("connect as owner of %s: %w", name, err)
	}
	defer func() { _ = owner.Close(context.WithoutCancel(ctx)) }()
	return run(ctx, owner, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
}

// Seal restricts the database to its own two roles and superusers. CREATE DATABASE … TEMPLATE does not copy these
// rights, so a clone is sealed again.
func Seal(ctx context.Context, admin *pgx.Conn, db migrations.Database, name string) error {
	return run(ctx, admin, "REVOKE ALL ON DATABASE "+quote(name)+" FROM PUBLIC",
		"GRANT CONNECT ON DATABASE "+quote(name)+" TO "+quote(AppRole(db)))
}

func provisionRole(ctx context.Context, admin *pgx.Conn, role, password string, settings []string) error {
	var exists bool
	if err := admin.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)",
		role).Scan(&exists); err != nil {
		return fmt.Errorf("look for role %s: %w", role, err)
	}
	if !exists {
		if err := run(ctx, admin, "CREATE ROLE "+quote(role)); err != nil {
			return err
		}
	}
	secret, err := verifier(password)
	if err != nil {
		return err
	}
	if _, err := admin.Exec(ctx, "ALTER ROLE "+quote(role)+" LOGIN PASSWORD '"+secret+"'"); err != nil {
		return fmt.Errorf("set the password of %s: %w", role, err)
	}
	for _, setting := range settings {
		if err := run(ctx, admin, "ALTER ROLE "+quote(role)+" SET "+setting); err != nil {
			return err
		}
	}
	return nil
}

// verifier is what PostgreSQL stores for a password (SCRAM-SHA-256, RFC 5803). The server gets this instead of the
// password, so that no statement log ever shows one.
func verifier(password string) (string, error) {
	const iterations = 4096 // PostgreSQL's own number; for random passwords more adds nothing
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails
	salted, err := pbkdf2.Key(sha256.New, password, salt, iterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a password verifier: %w", err)
	}
	sign := func(message string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(message))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(sign("Client Key"))
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", iterations, b64(salt), b64(stored[:]), b64(sign("Server Key"))), nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func run(ctx context.Context, conn *pgx.Conn, statements ...string) error {
	for _, s := range statements {
		if _, err := conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}
