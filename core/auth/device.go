package auth

import (
	"net/netip"
	"strconv"
	"strings"
)

// namedWord is a word of user agents with the name that people use, the more special before the more common.
type namedWord struct{ word, name string }

// Device returns a short name of the device that a user agent stands for, like 「Chrome · Windows」; unknown parts are
// left out, and nothing of the user agent itself is repeated but the name of an app (at most 30 letters).
func Device(userAgent string) string {
	browser := find(userAgent, []namedWord{
		{"Edg", "Edge"}, {"OPR/", "Opera"}, {"SamsungBrowser", "Samsung Internet"}, {"Whale", "Whale"},
		{"KAKAOTALK", "KakaoTalk"}, {"Firefox", "Firefox"}, {"FxiOS", "Firefox"}, {"CriOS", "Chrome"}, {"Chrome", "Chrome"},
		{"Safari", "Safari"},
	})
	system := find(userAgent, []namedWord{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"Windows", "Windows"}, {"Mac OS X", "macOS"},
		{"CrOS", "ChromeOS"}, {"Linux", "Linux"},
	})
	if browser == "" {
		browser = product(userAgent)
	}
	switch {
	case browser == "" && system == "":
		return "알 수 없는 기기"
	case browser == "" || system == "":
		return browser + system
	default:
		return browser + " · " + system
	}
}

func find(userAgent string, words []namedWord) string {
	for _, w := range words {
		if strings.Contains(userAgent, w.word) {
			return w.name
		}
	}
	return ""
}

// product returns the name before the first version, when it is a plain word.
func product(userAgent string) string {
	name, _, _ := strings.Cut(userAgent, "/")
	const longest = 30
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.'
	}
	if name == "Mozilla" || len(name) > longest || strings.ContainsFunc(name, func(r rune) bool { return !plain(r) }) {
		return ""
	}
	return name
}

// MaskIP keeps the network of an address and hides the rest: 203.0.113.*, 2001:db8:1:2:*. What is no address becomes *.
func MaskIP(ip string) string {
	a, err := netip.ParseAddr(ip)
	switch {
	case err != nil:
		return "*"
	case a.Unmap().Is4():
		b := a.Unmap().As4()
		return strconv.Itoa(int(b[0])) + "." + strconv.Itoa(int(b[1])) + "." + strconv.Itoa(int(b[2])) + ".*"
	}
	b := a.As16()
	var s strings.Builder
	for i := 0; i < 8; i += 2 {
		s.WriteString(strconv.FormatUint(uint64(b[i])<<8|uint64(b[i+1]), 16) + ":")
	}
	return s.String() + "*"
}
