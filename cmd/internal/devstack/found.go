package devstack

import (
	"errors"
	"path/filepath"

	"phonebill/adapters/postgres"
	"phonebill/core/personal"
	"phonebill/migrations"
)

// InternalToken names the secret that a stack's services share, as it stands in the secrets file.
const InternalToken = "internal.token"

// GatewayAuditToken names the secret that the gateway shares with the auth service alone.
const GatewayAuditToken = "gateway.audit.token"

// Found returns the URL of a database of a stack that is running already, the path of its keyring, and the token that
// the services share, empty when the stack did not make it: from its data folder and any URL of its database server.
// Only what the folder holds is used; nothing is made.
func Found(
	dir, serverURL string, db migrations.Database,
) (databaseURL personal.Secret, keyring string, token personal.Secret, err error) {
	secrets, err := OpenSecrets(filepath.Join(dir, "secrets.json"))
	if err != nil {
		return databaseURL, keyring, token, err
	}
	root, ok := secrets.values["databases"]
	if !ok {
		return databaseURL, keyring, token, errors.New(
			"the data folder " + dir + " holds no database passwords: is the system running? (make run)")
	}
	access, err := postgres.NewAccess(serverURL, postgres.DerivePasswords(root))
	if err != nil {
		return databaseURL, keyring, token, err
	}
	databaseURL, token = personal.NewSecret(access.AppURL(db)), personal.NewSecret(secrets.values[InternalToken])
	return databaseURL, filepath.Join(dir, "keyring.json"), token, nil
}
