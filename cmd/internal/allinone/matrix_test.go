package allinone_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/jose"
	"phonebill/adapters/postgres"
	"phonebill/adapters/rest/contract"
	"phonebill/adapters/vault"
	"phonebill/cmd/internal/devstack"
	"phonebill/core/auth"
	"phonebill/core/id"
	"phonebill/openapi"
)

// specs returns the specifications by the service that serves them; the operations are the gateway's own. It fails when
// one is missing for which the Makefile generates a server. What internal listeners serve is tried in internalapi.
func specs(t *testing.T) map[string]*openapi3.T {
	t.Helper()
	all := map[string]*openapi3.T{}
	for _, name := range []string{openapi.Auth, openapi.Bill, openapi.Product, openapi.Operations} {
		doc, err := contract.Load(name)
		require.NoError(t, err)
		all[strings.TrimSuffix(name, ".yaml")] = doc
	}
	generated, err := filepath.Glob("../../../openapi/*.server.cfg.yaml")
	require.NoError(t, err)
	require.Len(t, generated, len(all)+1)
	for _, config := range generated {
		if name := strings.TrimSuffix(filepath.Base(config), ".server.cfg.yaml"); name != "internal" {
			require.Contains(t, all, name)
		}
	}
	return all
}

// public lists the operations that need no token. A new one is a decision: it must be added here.
var public = []string{"getJwks", "login", "refresh"}

// TestAuthorisationMatrix (R9) takes every operation of every specification, so that a new one cannot be forgotten, and
// tries it with everything that must not open it: at the gateway and at the service itself (zero trust).
func TestAuthorisationMatrix(t *testing.T) {
	t.Parallel()
	needSystem(t)
	s := newStranger(t)
	var unlocked []string
	for name, doc := range specs(t) {
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				if op.Security != nil && len(*op.Security) == 0 {
					unlocked = append(unlocked, op.OperationID)
					continue
				}
				for _, base := range bases(name) {
					for _, c := range s.cases(t, op) {
						r := callAt(t, base+"/api/v1", method, s.path(name, path, item, op), c.token, s.body(t, op))
						require.Equalf(t, c.status, r.status, "%s at %s as %s: %s", op.OperationID, base, c.who, r.raw)
						require.Containsf(t, c.codes, r.body.Error.Code, "%s at %s as %s", op.OperationID, base, c.who)
					}
				}
			}
		}
	}
	slices.Sort(unlocked)
	require.Equal(t, public, unlocked)
}

// bases are where a specification is served: at the gateway and at its service, if it has one.
func bases(name string) []string {
	at := []string{running.BaseURL}
	if service, ok := running.Services[name]; ok {
		at = append(at, service)
	}
	return at
}

// stranger is a customer who tries what belongs to another account, with every kind of token that must fail.
type stranger struct {
	mine, expired, revoked, refresh, powerless string
	forged                                     map[string]string
	otherLine, otherSession                    string
	otherRequests                              map[string]string // by the service that took it
}

type matrixCase struct {
	who, token string
	status     int
	codes      []string
}

func newStranger(t *testing.T) stranger {
	t.Helper()
	me, other := customer(t, "normal", 0), customer(t, "suspended", 0)
	r := call(t, http.MethodPost, "/auth/login", "", map[string]string{"userId": me.UserID, "password": me.Password})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	s := stranger{
		mine: r.text("accessToken"), refresh: r.text("refreshToken"), otherLine: other.LineNumber,
		forged: map[string]string{},
	}

	p := principal(t, s.mine)
	past := p
	past.ExpiresAt = time.Now().Add(-time.Minute)
	s.expired = issue(t, past, time.Now().Add(-31*time.Minute))
	none := p
	none.Permissions, none.Roles = nil, nil
	s.powerless = issue(t, none, time.Now())
	s.revoked = login(t, me)
	require.Equal(t, http.StatusOK, call(t, http.MethodPost, "/auth/logout", s.revoked, nil).status)
	require.Eventually(t, func() bool {
		return callAt(t, running.Services["bill"]+"/api/v1", http.MethodGet, "/bills/menu", s.revoked,
			nil).status == http.StatusUnauthorized
	}, 10*time.Second, 50*time.Millisecond)

	payload := strings.Split(s.mine, ".")[1]
	head := func(alg string) string {
		raw, err := json.Marshal(map[string]string{"alg": alg, "typ": jose.Type, "kid": kid(t, s.mine)})
		require.NoError(t, err)
		return base64.RawURLEncoding.EncodeToString(raw) + "." + payload
	}
	s.forged["alg none"] = head("none") + "."
	mac := hmac.New(sha256.New, publicKey(t))
	mac.Write([]byte(head("HS256")))
	s.forged["HS256 with the public key"] = head("HS256") + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	s.forged["another signature"] = head("EdDSA") + "." + base64.RawURLEncoding.EncodeToString(make([]byte, 64))

	theirs := login(t, other)
	r = call(t, http.MethodPost, "/bills/inquiry", theirs, map[string]string{"lineNumber": other.LineNumber})
	require.NotEmpty(t, r.text("requestId"), r.raw)
	wish := planChange(other.LineNumber, "LTE-PREMIUM-001", "5G-PREMIUM-001")
	order := call(t, http.MethodPost, "/products/change", theirs, wish) // refused, but stored: there is something to see
	require.NotEmpty(t, order.body.Error.Details["requestId"], order.raw)
	change := order.body.Error.Details["requestId"]
	s.otherRequests = map[string]string{"bill": r.text("requestId"), "product": change, "operations": change}
	s.otherSession = principal(t, theirs).SessionID.String()
	return s
}

func (s stranger) cases(t *testing.T, op *openapi3.Operation) []matrixCase {
	t.Helper()
	const unauthorized = http.StatusUnauthorized
	all := []matrixCase{
		{"nobody", "", unauthorized, []string{"UNAUTHORIZED"}},
		{"expired", s.expired, unauthorized, []string{"TOKEN_EXPIRED"}},
		{"revoked", s.revoked, unauthorized, []string{"TOKEN_REVOKED"}},
		{"refresh token", s.refresh, unauthorized, []string{"TOKEN_INVALID"}},
	}
	for how, token := range s.forged {
		all = append(all, matrixCase{how, token, unauthorized, []string{"TOKEN_INVALID"}})
	}
	permission, ok := op.Extensions["x-permission"].(string)
	require.True(t, ok, op.OperationID)
	if permission != "" {
		all = append(all, matrixCase{"without the permission", s.powerless, http.StatusForbidden, []string{"FORBIDDEN"}})
	}
	switch owned := s.owned(op); {
	case permission == string(auth.UserAdmin), permission == string(auth.Operations):
		all = append(all, matrixCase{"a customer", s.mine, http.StatusForbidden, []string{"FORBIDDEN"}})
	case owned == "lineNumber":
		all = append(all, matrixCase{"of another line", s.mine, http.StatusForbidden, []string{"FORBIDDEN"}})
	case owned != "":
		all = append(all, matrixCase{"of another's " + owned, s.mine, http.StatusNotFound, []string{"NOT_FOUND"}})
	}
	return all
}

// owned names what in the request has an owner: a line, a request or a session.
func (stranger) owned(op *openapi3.Operation) string {
	for _, p := range op.Parameters {
		if slices.Contains([]string{"lineNumber", "requestId", "sid"}, p.Value.Name) {
			return p.Value.Name
		}
	}
	if op.RequestBody != nil {
		if schema := op.RequestBody.Value.Content["application/json"].Schema.Value; schema.Properties["lineNumber"] != nil {
			return "lineNumber"
		}
	}
	return ""
}

// path fills the template, and asks for the other's line where a query may.
func (s stranger) path(service, template string, item *openapi3.PathItem, op *openapi3.Operation) string {
	filled := strings.NewReplacer(
		"{requestId}", s.otherRequests[service], "{lineNumber}", s.otherLine, "{sid}", s.otherSession,
		"{userId}", "nobody-here", "{month}", "2020-01",
		"{permission}", "BILL_INQUIRY", "{transferId}", "01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b",
	).Replace(template)
	query := url.Values{}
	for _, p := range slices.Concat(item.Parameters, op.Parameters) {
		switch {
		case p.Value.In != openapi3.ParameterInQuery:
		case p.Value.Name == "lineNumber":
			query.Set("lineNumber", s.otherLine)
		case p.Value.Required:
			query.Set(p.Value.Name, "because of the matrix")
		}
	}
	if len(query) > 0 {
		filled += "?" + query.Encode()
	}
	return filled
}

// body is the specification's own example, with the other's line; nil when the operation has none.
func (s stranger) body(t *testing.T, op *openapi3.Operation) any {
	t.Helper()
	if op.RequestBody == nil {
		return nil
	}
	for _, example := range op.RequestBody.Value.Content["application/json"].Examples {
		body, ok := example.Value.Value.(map[string]any)
		require.True(t, ok, op.OperationID)
		filled := map[string]any{}
		for k, v := range body {
			filled[k] = v
		}
		if filled["lineNumber"] != nil {
			filled["lineNumber"] = s.otherLine
		}
		delete(filled, "inquiryMonth") // an example's month passes by
		return filled
	}
	require.Fail(t, "no example of a body", op.OperationID)
	return nil
}

// issue signs whatever principal with the running system's own key.
func issue(t *testing.T, p auth.Principal, at time.Time) string {
	t.Helper()
	token, err := issuer(t).Issue(t.Context(), p, at)
	require.NoError(t, err)
	return token.Reveal()
}

func issuer(t *testing.T) *jose.TokenIssuer {
	t.Helper()
	keyring, err := vault.Open(filepath.Join(running.dir, "keyring.json"))
	require.NoError(t, err)
	pool, err := postgres.Pool(t.Context(), running.Databases["auth"], postgres.PoolConfig{})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	i, err := jose.NewIssuer(t.Context(), postgres.NewSigningKeys(pool, keyring), auth.DefaultKeys(), time.Now,
		func() id.ID { return id.ID(uuid.Must(uuid.NewV7())) })
	require.NoError(t, err)
	return i
}

// principal reads a good token.
func principal(t *testing.T, token string) auth.Principal {
	t.Helper()
	p, err := jose.NewVerifier(jwks).Verify(t.Context(), token, time.Now())
	require.NoError(t, err)
	return p
}

func kid(t *testing.T, token string) string {
	t.Helper()
	var head struct {
		KeyID string `json:"kid"`
	}
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[0])
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &head))
	return head.KeyID
}

func jwks(ctx context.Context) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, running.BaseURL+"/.well-known/jwks.json", http.NoBody)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	return io.ReadAll(res.Body)
}

// publicKey is the newest verification key, raw: what an attacker would take for a shared secret.
func publicKey(t *testing.T) []byte {
	t.Helper()
	raw, err := jwks(t.Context())
	require.NoError(t, err)
	var set struct {
		Keys []struct {
			X string `json:"x"`
		} `json:"keys"`
	}
	require.NoError(t, json.Unmarshal(raw, &set))
	require.NotEmpty(t, set.Keys)
	key, err := base64.RawURLEncoding.DecodeString(set.Keys[0].X)
	require.NoError(t, err)
	return key
}

// TestOnlyAnAdminTouchesStaffOverHTTP takes every operation on one account from the specification, so that a new one
// cannot be forgotten. The operator holds all permissions of staff.
func TestOnlyAnAdminTouchesStaffOverHTTP(t *testing.T) {
	t.Parallel()
	needSystem(t)
	p := principal(t, login(t, running.Operator))
	p.Permissions = auth.AllPermissions()
	operator, admin := issue(t, p, time.Now()), login(t, running.Admin)
	seen := 0
	doc := specs(t)["auth"]
	for path, item := range doc.Paths.Map() {
		if !strings.HasPrefix(path, "/admin/users/{userId}") {
			continue
		}
		for method, op := range item.Operations() {
			seen++
			at := func(user string) string {
				return strings.Replace(stranger{}.path("auth", path, item, op), "nobody-here", user, 1)
			}
			r := call(t, method, at(running.Admin.UserID), operator, stranger{}.body(t, op))
			require.Equal(t, http.StatusForbidden, r.status, "%s: %s", op.OperationID, r.raw)
			require.Equal(t, "FORBIDDEN", r.body.Error.Code, op.OperationID)
			for user, token := range map[string]string{running.Admin.UserID: admin, running.Operator.UserID: operator} {
				r = call(t, method, at(user), token, stranger{}.body(t, op))
				require.Equal(t, http.StatusConflict, r.status, "%s on the own account: %s", op.OperationID, r.raw)
				require.Equal(t, "OWN_ACCOUNT", r.body.Error.Details["reason"], op.OperationID)
			}
		}
	}
	require.GreaterOrEqual(t, seen, 8)
}

// TestAnInitialPasswordOnlyAllowsItsChange tries every operation, at the gateway and at the service.
func TestAnInitialPasswordOnlyAllowsItsChange(t *testing.T) {
	t.Parallel()
	needSystem(t)
	r := call(t, http.MethodPost, "/admin/users", login(t, running.Admin), fields{
		"userId": "adm-initial", "password": initialPassword, "userName": "홍길동", "customerId": "C-initial",
		"lines": []string{"010-7779-0001"}, "roles": []string{"CUSTOMER"}, "permissions": []string{"BILL_INQUIRY"},
		"reason": "시험 계정",
	})
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	initial := devstack.Login{UserID: "adm-initial", Password: initialPassword}
	token := login(t, initial)
	some := stranger{
		otherLine: "01012345678", otherSession: "01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b", otherRequests: map[string]string{
			"bill": "01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b", "product": "01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b",
			"operations": "01940c2e-8a54-7d3c-b1a0-5f0f6f1f2a3b",
		},
	}
	var open []string
	for name, doc := range specs(t) {
		for path, item := range doc.Paths.Map() {
			for method, op := range item.Operations() {
				if op.Security != nil && len(*op.Security) == 0 {
					continue
				}
				if duties, _ := op.Extensions["x-for-duty"].([]any); slices.Contains(duties, any("CHANGE_PASSWORD")) {
					open = append(open, op.OperationID)
					continue
				}
				for _, base := range bases(name) {
					r := callAt(t, base+"/api/v1", method, some.path(name, path, item, op), token, nil)
					require.Equalf(t, "PASSWORD_CHANGE_REQUIRED", r.body.Error.Code, "%s at %s: %s", op.OperationID, base, r.raw)
					require.Equal(t, http.StatusForbidden, r.status)
				}
			}
		}
	}
	slices.Sort(open)
	require.Equal(t, []string{"changePassword", "logout"}, open)
	r = call(t, http.MethodPost, "/auth/login", "", fields{"userId": "adm-initial", "password": initialPassword})
	refresh := r.text("refreshToken")
	r = call(t, http.MethodPost, "/auth/password", r.text("accessToken"), fields{
		"currentPassword": initialPassword, "newPassword": strongPassword,
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	r = call(t, http.MethodPost, "/auth/refresh", "", fields{"refreshToken": refresh})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	r = call(t, http.MethodGet, "/bills/menu", r.text("accessToken"), nil)
	require.Equal(t, http.StatusOK, r.status, "a refresh opens the account: %s", r.raw)
}

// TestALineOfAnotherAccountNeedsItsReleaseOrASecondPerson is the whole way over HTTP.
func TestALineOfAnotherAccountNeedsItsReleaseOrASecondPerson(t *testing.T) {
	t.Parallel()
	needSystem(t)
	holder := someone(t, "adm-holder")
	p := principal(t, login(t, running.Operator))
	p.Permissions = auth.AllPermissions()
	operator, admin := issue(t, p, time.Now()), login(t, running.Admin)
	wish := fields{
		"userId": "adm-taker", "password": initialPassword, "userName": "홍길동", "lines": []string{holder.LineNumber},
		"roles": []string{"CUSTOMER"}, "permissions": []string{"BILL_INQUIRY"}, "reason": "명의 변경",
	}
	r := call(t, http.MethodPost, "/admin/users", operator, wish)
	require.Equal(t, http.StatusConflict, r.status, r.raw)
	require.Equal(t, "LINE_HELD", r.body.Error.Code)
	transfer := r.body.Error.Details["transferId"]
	require.Contains(t, call(t, http.MethodGet, "/admin/line-transfers", admin, nil).raw, transfer)
	confirm := "/admin/line-transfers/" + transfer + "/confirm"
	r = call(t, http.MethodPost, confirm, operator, fields{"reason": "시험용"})
	require.Equal(t, "OWN_PROPOSAL", r.body.Error.Details["reason"], r.raw)
	r = call(t, http.MethodPost, confirm, admin, fields{"reason": "서류 확인"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	require.Equal(t, running.Admin.UserID, r.text("confirmedBy"))
	r = call(t, http.MethodPost, "/admin/users", operator, wish)
	require.Equal(t, http.StatusCreated, r.status, r.raw)
	require.Equal(t, []string{"LINE_TRANSFERRED INTENDED", "LINE_TRANSFERRED CONFLICT", "LINE_TRANSFERRED INTENDED",
		"LINE_TRANSFERRED DONE"},
		audited(t, transfer))

	// The other account loses it by a change of its lines: then too, another person gives it to an account.
	r = call(t, http.MethodPatch, "/admin/users/adm-holder", operator, fields{
		"version": versionOf(t, operator, "adm-holder"), "lines": []string{holder.LineNumber},
		"reason": "시험용",
	})
	require.Equal(t, "LINE_HELD", r.body.Error.Code, r.raw)
	r = call(t, http.MethodPatch, "/admin/users/adm-taker", operator, fields{
		"version": versionOf(t, operator, "adm-taker"), "lines": []string{}, "reason": "시험용",
	})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	back := fields{
		"version": versionOf(t, operator, "adm-holder"), "lines": []string{holder.LineNumber}, "reason": "시험용",
	}
	r = call(t, http.MethodPatch, "/admin/users/adm-holder", operator, back)
	require.Equal(t, "LINE_HELD", r.body.Error.Code, r.raw)
	confirm = "/admin/line-transfers/" + r.body.Error.Details["transferId"] + "/confirm"
	r = call(t, http.MethodPost, confirm, operator, fields{"reason": "시험용"})
	require.Equal(t, "OWN_PROPOSAL", r.body.Error.Details["reason"], r.raw)
	r = call(t, http.MethodPost, confirm, admin, fields{"reason": "서류 확인"})
	require.Equal(t, http.StatusOK, r.status, r.raw)
	r = call(t, http.MethodPatch, "/admin/users/adm-holder", operator, back)
	require.Equal(t, http.StatusOK, r.status, r.raw)
}

func versionOf(t *testing.T, token, user string) any {
	t.Helper()
	return call(t, http.MethodGet, "/admin/users/"+user, token, nil).data("version")
}

// TestExactSearchesAreCounted: the thirty-first within an hour is refused with the time to come back.
func TestExactSearchesAreCounted(t *testing.T) {
	t.Parallel()
	needSystem(t)
	p := principal(t, login(t, running.Operator))
	p.UserID = "adm-searcher" // of its own, so that other tests keep their budget
	token := issue(t, p, time.Now())
	search := func() reply { return call(t, http.MethodGet, "/admin/users?lineNumber=010-7782-0001", token, nil) }
	for range 30 {
		require.Equal(t, http.StatusOK, search().status)
	}
	r := search()
	require.Equal(t, http.StatusTooManyRequests, r.status, r.raw)
	require.Equal(t, "RATE_LIMIT_EXCEEDED", r.body.Error.Code)
	seconds, err := strconv.Atoi(r.header.Get("Retry-After"))
	require.NoError(t, err)
	require.LessOrEqual(t, seconds, 3600)
	require.Greater(t, seconds, 3000)
	require.Equal(t, http.StatusOK, call(t, http.MethodGet, "/admin/users?size=1", token, nil).status,
		"other searches go on")
	require.Contains(t, running.logs.String(), `"alert":"staff_searched_often","subject":"adm-searcher"`)
}
