package compose_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEachProgramLinksOnlyWhatItNeeds lists what must not be in a program.
func TestEachProgramLinksOnlyWhatItNeeds(t *testing.T) {
	t.Parallel()
	const (
		database, kos, ap = "github.com/jackc/pgx", "phonebill/adapters/kos", "phonebill/adapters/mvnoap"
		postgres, hashes  = "phonebill/adapters/postgres", "phonebill/adapters/credentials"
	)
	kits := []string{ // of tests and of development
		"testing", "github.com/stretchr/testify", "github.com/alicebob/miniredis", "phonebill/adapters/memory",
		"phonebill/adapters/kos/kossim", "phonebill/adapters/mvnoap/mvnoapsim", "phonebill/adapters/devservers",
		"phonebill/adapters/tlsfiles/devca", "phonebill/adapters/postgres/pgtest", "phonebill/adapters/valkey/valkeytest",
		"phonebill/adapters/rest/resttest",
		"phonebill/ports/portstest", "phonebill/cmd/internal/devstack", "phonebill/cmd/internal/allinone",
		"phonebill/cmd/internal/compose/simulators",
	}
	for program, banned := range map[string][]string{
		"gateway": slices.Concat(kits, []string{
			database, postgres, hashes, kos, ap, "phonebill/adapters/vault", "phonebill/adapters/spool", "phonebill/migrations",
			"phonebill/cmd/internal/compose/stores",
		}),
		"auth": slices.Concat(kits, []string{kos, ap, "phonebill/adapters/spool"}),
		"bill-inquiry": slices.Concat(kits, []string{
			hashes, "phonebill/adapters/rest/gateway", "phonebill/adapters/rest/authapi",
		}),
		"product-change": slices.Concat(kits, []string{
			hashes, "phonebill/adapters/rest/gateway", "phonebill/adapters/spool",
		}),
		"kos-simulator": {database, postgres, hashes, "phonebill/adapters/valkey", "phonebill/adapters/memory", "testing"},
		"migrate":       {kos, ap, hashes, "phonebill/adapters/rest/gateway", "phonebill/adapters/valkey", "testing"},
	} {
		out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "phonebill/cmd/"+program).Output()
		require.NoError(t, err, program)
		for dep := range strings.Lines(string(out)) {
			dep = strings.TrimSpace(dep)
			for _, b := range banned {
				require.Falsef(t, dep == b || strings.HasPrefix(dep, b+"/"), "%s links %s", program, dep)
			}
		}
	}
}
