package personal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/personal"
)

func TestMasks(t *testing.T) {
	t.Parallel()
	for clear, want := range map[string]string{
		"": "", "홍": "홍*", "홍길": "홍*", "홍길동": "홍*동", "남궁길동": "남**동", "Kim": "K*m",
	} {
		n := personal.NewName(clear)
		require.Equal(t, want, n.String())
		require.Equal(t, clear, n.Reveal())
	}
	for clear, want := range map[string]string{
		"hong@example.com": "h***@example.com", "홍@example.com": "홍***@example.com", "": "", "@example.com": "************",
		"nobody": "******",
	} {
		e := personal.NewEmail(clear)
		require.Equal(t, want, e.String())
		require.Equal(t, clear, e.Reveal())
	}
	require.Equal(t, "***", personal.NewSecret("").String())
	require.Equal(t, "s3cret", personal.NewSecret("s3cret").Reveal())
}

// everything that must not be found in any printed form.
var clear = []string{"길동", "hong", "s3cret"}

func TestNothingPrintsItselfInClear(t *testing.T) {
	t.Parallel()
	name, email, secret := personal.NewName("홍길동씨"), personal.NewEmail("hong@example.com"),
		personal.NewSecret("s3cret")
	all := struct {
		Name   personal.Name
		Email  personal.Email
		Secret personal.Secret
		Ptr    *personal.Name
		List   []personal.Secret
		Map    map[string]personal.Email
	}{name, email, secret, &name, []personal.Secret{secret}, map[string]personal.Email{"a": email}}
	for _, v := range []any{name, email, secret, &name, &email, &secret, all, &all} {
		var printed []string
		for _, verb := range []string{"%v", "%s", "%+v", "%#v", "%q", "%d", "%t", "%20v"} {
			printed = append(printed, fmt.Sprintf(verb, v))
		}
		raw, err := json.Marshal(v)
		require.NoError(t, err)
		var text, js bytes.Buffer
		slog.New(slog.NewTextHandler(&text, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&js, nil)).Info("m", "v", v)
		for _, out := range append(printed, string(raw), text.String(), js.String(), fmt.Sprint(v),
			fmt.Errorf("e: %v", v).Error()) {
			for _, c := range clear {
				require.NotContains(t, out, c, "%T", v)
			}
		}
		require.NotContains(t, fmt.Sprintf("%x %X", v, v), fmt.Sprintf("%x", "s3cret"))
	}
}
