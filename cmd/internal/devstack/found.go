package devstack

import (
	"errors"
	"path/filepath"

	"phonebill/adapters/postgres"
	"phonebill/cmd/internal/compose"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// InternalToken names the secret that a stack's services share, as it stands in the secrets file.
const InternalToken = "internal.token"

// GatewayAuditToken names the secret that the gateway shares with the auth service alone.
const GatewayAuditToken = "gateway.audit.token"

// Found answers the stores of a service on a stack that is running already, from its data folder and any URL of its database server,
// and the token that the services share, empty when the stack did not make it. Only what the folder holds is used; nothing is made.
func Found(
	dir, databaseURL string, cache compose.Cache, db migrations.Database,
) (data compose.Data, token personal.Secret, err error) {
	secrets, err := OpenSecrets(filepath.Join(dir, "secrets.json"))
	if err != nil {
		return data, token, err
	}
	root, ok := secrets.values["databases"]
	if !ok {
		return data, token, errors.New("the data folder " + dir + " holds no database passwords: is the system running? (make run)")
	}
	access, err := postgres.NewAccess(databaseURL, postgres.DerivePasswords(root))
	if err != nil {
		return data, token, err
	}
	return compose.Data{
		DatabaseURL: personal.NewSecret(access.AppURL(db)), Instances: 1, Keyring: filepath.Join(dir, "keyring.json"), Cache: cache,
	}, personal.NewSecret(secrets.values[InternalToken]), nil
}
