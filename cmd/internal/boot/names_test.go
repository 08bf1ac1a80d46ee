package boot

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNearMissesOfOurNames(t *testing.T) {
	t.Parallel()
	for name, meant := range map[string]string{
		"KOS_TOKNE": "KOS_TOKEN", "KOS_QUOTA_PER_MINUT": "KOS_QUOTA_PER_MINUTE", "BILL_ADR": "BILL_ADDR",
		"KSO_TOKEN": "KOS_TOKEN", "VALKY_ADDR": "VALKEY_ADDR", "PHONEBILL_EVN": "PHONEBILL_ENV",
		"SESSION_IDEL": "SESSION_IDLE", "SESSION_IDLEAUTO": "SESSION_IDLE_AUTO", "MVNOAP_SECRETS": "MVNOAP_SECRET",
		"KOS_TOKEN": "", "PATH": "", "HOME": "", "HOSTNAME": "", "APP_URL": "", "KUBERNETES_SERVICE_HOST": "",
		"BILL_LAUNCH_DATE": "", "GATEWAY_PORT": "", "GATEWAY_SERVICE_HOST": "", "GATEWAY_SERVICE_PORT": "",
		"GATEWAY_SERVICE_PORT_HTTP": "", "GATEWAY_PORT_8080_TCP": "", "GATEWAY_PORT_8080_TCP_ADDR": "",
		"GATEWAY_PORT_8080_TCP_PROTO": "", "AUTH_PORT": "", "BILL_PORT": "", "KOS_PORT": "", "KOS_SERVICE_PORT": "",
	} {
		require.Equal(t, meant, nearMiss(name, KnownNames()), name)
	}
}

func TestANearMissIsLoggedWithoutItsValue(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	warnOfNearMisses([]string{"PATH=/bin", "GATEWAY_PORT=tcp://10.0.0.1:80", "KOS_TOKNE=hush", "=C:=odd"},
		slog.New(slog.NewTextHandler(&out, nil)))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(),
		`level=WARN msg="no program reads this variable" variable=KOS_TOKNE didYouMean=KOS_TOKEN`)
	require.NotContains(t, out.String(), "hush")
}
