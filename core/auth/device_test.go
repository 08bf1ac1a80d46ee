package auth_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"phonebill/core/auth"
)

func TestDevice(t *testing.T) {
	t.Parallel()
	const (
		windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 "
		iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) "
	)
	for agent, want := range map[string]string{
		windows + "(KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36":                          "Chrome · Windows",
		windows + "(KHTML, like Gecko) Chrome/130.0 Safari/537.36 Edg/130.0":                    "Edge · Windows",
		iphone + "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/604.1":           "Safari · iPhone",
		"Mozilla/5.0 (Linux; Android 14; SM-S921N) SamsungBrowser/26.0 Chrome/122.0 Safari/537": "Samsung Internet · Android",
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Version/17.5 Safari/605.1.15":             "Safari · macOS",
		"Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0":                "Firefox · Linux",
		"phonebill-app/2.1 (Android 14)":                                                        "phonebill-app · Android",
		"curl/8.5.0":                                                                            "curl",
		"Mozilla/5.0 (iPad)":                                                                    "iPad",
		"Mozilla/5.0":                                                                           "알 수 없는 기기",
		"":                                                                                      "알 수 없는 기기",
		"<script>alert(1)</script>":                                                             "알 수 없는 기기",
		"a-name-that-is-much-too-long-to-be-shown/1":                                            "알 수 없는 기기",
	} {
		require.Equal(t, want, auth.Device(agent), agent)
	}
}

func TestMaskIP(t *testing.T) {
	t.Parallel()
	for ip, want := range map[string]string{
		"203.0.113.77": "203.0.113.*", "::ffff:203.0.113.77": "203.0.113.*", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2:*",
		"2001:db8::1": "2001:db8:0:0:*", "fe80::1%eth0": "fe80:0:0:0:*", "": "*", "invalid IP": "*",
	} {
		require.Equal(t, want, auth.MaskIP(ip), ip)
	}
}
