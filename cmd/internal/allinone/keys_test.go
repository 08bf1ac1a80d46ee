package allinone_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A key that is rotated in is published before it signs, and one that is retired is gone within a second or so;
// no token becomes invalid early.
func TestSigningKeysByCommand(t *testing.T) {
	t.Parallel()
	needSystem(t)
	token := login(t, customer(t, "normal", 1))
	out, _, err := command(t, "", "keys", "rotate", "--reason", "정기 교체")
	require.NoError(t, err)
	next, _, _ := strings.Cut(out, " ")
	published := func() bool {
		raw, err := jwks(t.Context())
		return err == nil && strings.Contains(string(raw), next)
	}
	require.Eventually(t, published, 5*time.Second, 50*time.Millisecond)
	require.NotEqual(t, next, kid(t, login(t, customer(t, "normal", 1))), "it does not sign yet")
	out, _, err = command(t, "", "keys", "list")
	require.NoError(t, err)
	require.Regexp(t, next+` +NEXT`, out)
	_, _, err = command(t, "", "keys", "retire", kid(t, token), "--reason", "서명 중")
	require.Error(t, err, "the key that signs is not retired")
	_, _, err = command(t, "", "keys", "retire", next, "--reason", "쓰지 않음")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !published() }, 5*time.Second, 50*time.Millisecond)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/bills/menu", token, nil).status)
}

// Only a system with a service credential is believed about its user's address and device, from the moment the key is
// made to the moment it is retired, without a restart (ADR 29).
func TestServiceCredentialByCommand(t *testing.T) {
	t.Parallel()
	needSystem(t)
	c := customer(t, "normal", 2)
	as := func(credential string) (*http.Response, string) {
		raw, err := json.Marshal(map[string]string{"userId": c.UserID, "password": c.Password})
		require.NoError(t, err)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, running.BaseURL+"/api/v1/auth/login",
			bytes.NewReader(raw))
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("X-End-User-Address", "198.51.100.77")
		req.Header.Set("X-End-User-Agent", "SomebodysPhone/1.0")
		if credential != "" {
			req.Header.Set("X-Service-Credential", credential)
		}
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		defer func() { _ = res.Body.Close() }()
		var body reply
		require.NoError(t, json.NewDecoder(res.Body).Decode(&body.body))
		return res, body.text("accessToken")
	}
	device := func(token string) string {
		r := call(t, http.MethodGet, "/auth/sessions", token, nil)
		sessions, _ := r.data("sessions").([]any)
		for _, s := range sessions {
			if s, ok := s.(map[string]any); ok && s["current"] == true {
				return s["device"].(string) + " " + s["ip"].(string)
			}
		}
		return r.raw
	}
	key, _, err := command(t, "", "service-keys", "mint", "mvno-ap", "--reason", "AP 서버 연동")
	require.NoError(t, err)
	key = strings.TrimSpace(key)
	res, token := as(key)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "SomebodysPhone 198.51.100.*", device(token))
	_, token = as("")
	require.NotContains(t, device(token), "198.51.100", "no other system is believed")

	list, _, err := command(t, "", "service-keys", "list")
	require.NoError(t, err)
	require.NotContains(t, list, key)
	for _, line := range strings.Split(list, "\n") {
		if strings.Contains(line, "mvno-ap") && strings.HasSuffix(strings.TrimSpace(line), "-") {
			_, _, err = command(t, "", "service-keys", "retire", strings.Fields(line)[0], "--reason", "교체 완료")
			require.NoError(t, err)
		}
	}
	require.Eventually(t, func() bool {
		res, _ := as(key)
		return res.StatusCode == http.StatusUnauthorized
	}, 10*time.Second, 100*time.Millisecond)
	require.NotContains(t, running.logs.String(), key)
}
