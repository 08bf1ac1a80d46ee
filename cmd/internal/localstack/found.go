package localstack

import (
	"errors"
	"path/filepath"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/compose"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// Found answers the stores of a service on a stack that is running already, from its data folder and any URL of its database server.
// Only what the folder holds is used; nothing is made.
func Found(dir, databaseURL string, cache compose.Cache, db migrations.Database) (compose.Data, error) {
	secrets, err := OpenSecrets(filepath.Join(dir, "secrets.json"))
	if err != nil {
		return compose.Data{}, err
	}
	root, ok := secrets.values["databases"]
	if !ok {
		return compose.Data{}, errors.New("the data folder " + dir + " holds no database passwords: is the system running? (make run)")
	}
	access, err := postgres.NewAccess(databaseURL, postgres.DerivePasswords(root))
	if err != nil {
		return compose.Data{}, err
	}
	return compose.Data{
		DatabaseURL: personal.NewSecret(access.AppURL(db)), Instances: 1, Keyring: filepath.Join(dir, "keyring.json"), Cache: cache,
	}, nil
}
