// Package postgres is where phonebill's data lives: four databases on one server (ADR 27), each with an owner role that
// migrates it and a least-right role that the services use. Begin with Access (access.go) and Inquiries (inquiries.go).
package postgres

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"

	"phonebill/migrations"
)

// Password holds the passwords of one database's two roles.
type Password struct{ Owner, App string }

// String keeps passwords out of logs.
func (Password) String() string { return "***" }

// GoString keeps passwords out of %#v as well.
func (Password) GoString() string { return "***" }

// Passwords holds the passwords of all roles.
type Passwords map[migrations.Database]Password

// DerivePasswords makes all passwords from one secret: the same secret always gives the same passwords.
func DerivePasswords(secret string) Passwords {
	derive := func(role string) string {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte("phonebill database role " + role))
		return hex.EncodeToString(mac.Sum(nil)[:20])
	}
	all := Passwords{}
	for _, db := range append(migrations.All(), migrations.Request) { // Request is for a product without tables of its own
		all[db] = Password{Owner: derive(OwnerRole(db)), App: derive(AppRole(db))}
	}
	return all
}

// DatabaseName is the database's name on the server, for instance phonebill_bill.
func DatabaseName(db migrations.Database) string { return "phonebill_" + string(db) }

// OwnerRole owns the database and runs its migrations.
func OwnerRole(db migrations.Database) string { return "phonebill_" + string(db) + "_owner" }

// AppRole is what services log in as. It may connect; everything else comes from GRANTs in the migrations.
func AppRole(db migrations.Database) string { return "phonebill_" + string(db) }

// Access makes connection URLs for one server. URLs hold passwords: never log them.
type Access struct {
	server    *url.URL
	passwords Passwords
}

// NewAccess takes host, port and options (TLS mode …) from the admin's URL. The URL must be of the form postgres://…,
// and every database needs both passwords.
func NewAccess(adminURL string, secrets Passwords) (Access, error) {
	u, err := url.Parse(adminURL)
	if err != nil {
		// url.Error quotes its input, which holds a password.
		return Access{}, errors.New("the database URL cannot be parsed")
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return Access{}, errors.New("the database URL must look like postgres://user:password@host:port/postgres")
	}
	for _, db := range migrations.All() {
		if secrets[db].Owner == "" || secrets[db].App == "" {
			return Access{}, fmt.Errorf("no passwords for database %s", db)
		}
	}
	return Access{server: u, passwords: secrets}, nil
}

// OwnerURL returns the URL for migrations.
func (a Access) OwnerURL(db migrations.Database) string { return a.OwnerURLOf(db, DatabaseName(db)) }

// AppURL returns the URL for services.
func (a Access) AppURL(db migrations.Database) string { return a.AppURLOf(db, DatabaseName(db)) }

// OwnerURLOf is OwnerURL for a database of db's kind under another name (tests, restores).
func (a Access) OwnerURLOf(db migrations.Database, name string) string {
	return a.build(OwnerRole(db), a.passwords[db].Owner, name)
}

// AppURLOf is AppURL for a database of db's kind under another name (tests, restores).
func (a Access) AppURLOf(db migrations.Database, name string) string {
	return a.build(AppRole(db), a.passwords[db].App, name)
}

func (a Access) build(user, password, database string) string {
	u := *a.server
	u.User = url.UserPassword(user, password)
	u.Path = "/" + database
	query := u.Query()
	for _, of := range []string{"user", "password", "dbname", "database"} {
		query.Del(of) // of the admin, not of this role
	}
	u.RawQuery = query.Encode()
	return u.String()
}
