// Package feed serves the auth service's internal API: which tokens are dead and which keys are good (ADR 14), and which sessions
// are in use. It is mounted on the internal listener alone, behind Protected; no route of the gateway leads to it.
package feed

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"phonebill/core/personal"
	"phonebill/ports"
)

// Path is where the feed is served. The query parameter since is an RFC 3339 time, the asOf of an answer of before or somewhat
// earlier; without it everything is told that a living token can be about.
const Path = "/internal/v1/revocations"

// Told is the answer, version 1 (the version is in the path; fields may be added).
type Told struct {
	AsOf     time.Time `json:"asOf"`
	Keys     []string  `json:"keys"`
	Sessions []Session `json:"sessions"`
	Users    []User    `json:"users"`
}

// Session is a session that ended.
type Session struct {
	SessionID string    `json:"sid"`
	At        time.Time `json:"at"`
	Why       string    `json:"why,omitempty"`
}

// User is a user whose tokens of an older epoch are dead.
type User struct {
	UserID string    `json:"userId"`
	Epoch  int       `json:"epoch"`
	At     time.Time `json:"at"`
}

// Handler answers GET Path.
func Handler(revoked ports.RevocationFeed, log *slog.Logger) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var since time.Time
		if asked := r.URL.Query().Get("since"); asked != "" {
			var err error
			if since, err = time.Parse(time.RFC3339Nano, asked); err != nil {
				http.Error(w, "since is not an RFC 3339 time", http.StatusBadRequest)
				return
			}
		}
		told, err := revoked.Since(r.Context(), since)
		if err != nil {
			log.ErrorContext(r.Context(), "revocation feed failed", "error", err.Error())
			http.Error(w, "not available", http.StatusServiceUnavailable)
			return
		}
		out := Told{AsOf: told.AsOf, Keys: told.KeyIDs, Sessions: []Session{}, Users: []User{}}
		for _, v := range told.Revocations {
			if v.UserID != "" {
				out.Users = append(out.Users, User{UserID: string(v.UserID), Epoch: v.Epoch, At: v.At})
				continue
			}
			out.Sessions = append(out.Sessions, Session{SessionID: v.SessionID.String(), At: v.At, Why: string(v.Why)})
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(out)
	})
}

// Protected lets those in who send the token that all services share as a bearer token; others get 401. The empty token lets
// everybody in: for development, where the internal listener is on loopback.
func Protected(token personal.Secret, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		sum := sha256.Sum256([]byte(given)) // of equal length, so that the time tells nothing
		if token.Reveal() != "" && subtle.ConstantTimeCompare(sum[:], want[:]) != 1 {
			http.Error(w, "the internal token is missing or wrong", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
