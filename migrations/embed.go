// Package migrations holds the goose migrations of phonebill's four databases (ADR 27), the only definition of their
// schema: embedded here for the programs that apply them, read by sqlc for its queries. Changes are expand/contract
// (ADR 30): the previous release keeps running on the new schema.
package migrations

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
)

// Database names one of the four databases; it is also the folder of its migrations.
type Database string

// The four databases.
const (
	Auth    Database = "auth"
	Bill    Database = "bill"
	Product Database = "product"
	KOS     Database = "kos"
)

// Request is the set of what the requests of all products have in common. It is no database of its own: it is applied
// to the database of each product, after the product's own set (docs/adding-a-product.md). A product without tables of
// its own has this set alone.
const Request Database = "request"

// HasRequests reports whether db is the database of a product, whose requests the shared set describes.
func (db Database) HasRequests() bool { return db == Bill || db == Product }

//go:embed auth/*.sql bill/*.sql product/*.sql kos/*.sql request/*.sql
var files embed.FS

// All lists the databases in a fixed order.
func All() []Database { return []Database{Auth, Bill, Product, KOS} }

// FS holds the migrations of one set at its root. It panics on an unknown one.
func FS(db Database) fs.FS {
	sub, err := fs.Sub(files, string(db))
	if err == nil {
		_, err = fs.Stat(sub, ".")
	}
	if err != nil {
		panic(fmt.Sprintf("migrations: unknown database %q: %v", db, err))
	}
	return sub
}

// Hash returns 16 hex digits of the content of all migrations; it changes when any file's name or content does. Test
// template databases are named by it.
func Hash() string { return hash(files) }

func hash(fsys fs.FS) string {
	sum := sha256.New()
	// WalkDir goes in lexical order, so the hash does not depend on the file system. Reading embedded files cannot fail.
	err := fs.WalkDir(fsys, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(sum, "%s %d\n%s", path, len(content), content)
		return err
	})
	if err != nil {
		panic(fmt.Sprintf("migrations: embedded files are unreadable: %v", err))
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
