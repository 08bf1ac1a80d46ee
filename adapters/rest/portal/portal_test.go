package portal_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"

	"phonebill/adapters/rest"
	"phonebill/adapters/rest/portal"
	"phonebill/core/fault"
)

// ask returns the portal's answer; headers are names and values.
func ask(t *testing.T, method, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	all := portal.Handlers(portal.Config{
		SandboxLogins: []string{"demo-k7q2-1:01012345678", "<script>"},
		Fail: func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(rest.Status(fault.From(err).Kind()))
		},
	})
	req := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(req.URL.Path, "/api/v1"), "/"), "/")
	require.Contains(t, all, first)
	rec := httptest.NewRecorder()
	all[first].ServeHTTP(rec, req)
	require.Contains(t, []string{"GET /docs/", "GET /openapi/"}, req.Pattern, "one route for many paths")
	return rec
}

func TestWhatIsServed(t *testing.T) {
	t.Parallel()
	for path, contentType := range map[string]string{
		"/openapi.yaml": "application/yaml; charset=utf-8", "/openapi.json": "application/json",
		"/openapi/auth.yaml": "application/yaml; charset=utf-8", "/openapi/bill.json": "application/json",
		"/openapi/product.yaml": "application/yaml; charset=utf-8", "/openapi/operations.json": "application/json",
		"/docs/en/start": "text/html; charset=utf-8", "/docs/ko/changelog": "text/html; charset=utf-8",
		"/docs/ko/reference": "text/html; charset=utf-8", "/docs/assets/portal.css": "text/css; charset=utf-8",
		"/docs/assets/scalar.js": "text/javascript; charset=utf-8", "/docs/assets/icon.svg": "image/svg+xml",
		"/docs/assets/licences.txt": "text/plain; charset=utf-8",
	} {
		whole := ask(t, http.MethodGet, path)
		require.Equal(t, http.StatusOK, whole.Code, path)
		require.Equal(t, contentType, whole.Header().Get("Content-Type"), path)
		require.Equal(t, "public, max-age=300", whole.Header().Get("Cache-Control"), path)
		require.Equal(t, "Accept-Encoding", whole.Header().Get("Vary"), path)

		head := ask(t, http.MethodHead, path)
		require.Equal(t, http.StatusOK, head.Code, path)
		require.Empty(t, head.Body.String(), path)

		packed := ask(t, http.MethodGet, path, "Accept-Encoding", "br, gzip;q=0.8")
		require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"), path)
		require.NotEqual(t, whole.Header().Get("ETag"), packed.Header().Get("ETag"), path)
		reader, err := gzip.NewReader(packed.Body)
		require.NoError(t, err)
		text, err := io.ReadAll(reader)
		require.NoError(t, err)
		require.Equal(t, whole.Body.Bytes(), text, path)
		require.Empty(t, ask(t, http.MethodGet, path, "Accept-Encoding", "gzip;q=0").Header().Get("Content-Encoding"))

		again := ask(t, http.MethodGet, path, "If-None-Match", whole.Header().Get("ETag"))
		require.Equal(t, http.StatusNotModified, again.Code, path)
	}
}

func TestWhatIsNotServed(t *testing.T) {
	t.Parallel()
	for _, path := range []string{
		"/openapi", "/openapi/", "/openapi/internal.yaml", "/openapi/common.yaml", "/openapi/.yaml", "/openapi.yaml/",
		"/api/v1/openapi.yaml", "/api/v1/docs", "/api/v1/docs/en/start", "/docs/fr/start", "/docs/en/absent",
		"/docs/en/start/", "/docs/assets/", "/docs/assets/page.html", "/docs/assets/../portal.go",
	} {
		require.Equal(t, http.StatusNotFound, ask(t, http.MethodGet, path).Code, path)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		rec := ask(t, method, "/docs/en/start")
		require.Equal(t, http.StatusMethodNotAllowed, rec.Code)
		require.Equal(t, "GET, HEAD", rec.Header().Get("Allow"))
	}
}

func TestTheFirstPageIsInTheLanguageOfTheBrowser(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]string{
		"": "ko", "en-US,en;q=0.9,ko;q=0.8": "en", "ko-KR": "ko", "fr, en": "en", "fr": "ko", "KO": "ko",
	} {
		for _, path := range []string{"/docs", "/docs/"} {
			rec := ask(t, http.MethodGet, path, "Accept-Language", header)
			require.Equal(t, http.StatusFound, rec.Code)
			require.Equal(t, "/docs/"+want+"/start", rec.Header().Get("Location"), header)
			require.Equal(t, "Accept-Language", rec.Header().Get("Vary"))
		}
	}
	require.Equal(t, "/docs/en/start", ask(t, http.MethodGet, "/docs/en").Header().Get("Location"))
}

// TestPagesLoadNothingFromElsewhere reads the policies and every address of the pages.
func TestPagesLoadNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	loads := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, path := range []string{"/docs/ko/start", "/docs/en/errors", "/docs/en/reference"} {
		rec := ask(t, http.MethodGet, path)
		policy := rec.Header().Get("Content-Security-Policy")
		require.Contains(t, policy, "default-src 'none'")
		require.Contains(t, policy, "frame-ancestors 'none'")
		require.NotContains(t, policy, "http")
		require.NotRegexp(t, `script-src[^;]*unsafe`, policy)
		require.NotRegexp(t, `<script(?: [a-z]+)?>|<style| style="| on[a-z]+="`, rec.Body.String(), "nothing inline")
		for _, m := range loads.FindAllStringSubmatch(rec.Body.String(), -1) {
			require.NotRegexp(t, `^(https?:)?//`, m[1], path)
		}
	}
	reference := ask(t, http.MethodGet, "/docs/en/reference").Body.String()
	require.Contains(t, reference, `<option value="demo-k7q2-1">01012345678</option>`)
	require.NotContains(t, reference, "<script>", "what is configured is text")
	address := regexp.MustCompile(`/docs/assets/scalar\.js\?v=[0-9a-f]+`).FindString(reference)
	require.Equal(t, "public, max-age=31536000, immutable", ask(t, http.MethodGet, address).Header().Get("Cache-Control"))
}

func TestGuides(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"ko", "en"} {
		errors := ask(t, http.MethodGet, "/docs/"+lang+"/errors").Body.String()
		for _, e := range fault.Catalogue() {
			require.Contains(t, errors, "<code>"+string(e.Code)+"</code>")
		}
		require.NotContains(t, errors, "catalogue")
		changelog := ask(t, http.MethodGet, "/docs/"+lang+"/changelog").Body.String()
		require.Contains(t, changelog, `<h2 id="060---2026-11-29">`)
		require.NotContains(t, changelog, `href="docs/`, "the portal has no such page")
	}
	require.Contains(t, ask(t, http.MethodGet, "/docs/ko/start").Body.String(), `<h2 id="1-로그인">`)
	require.Contains(t, ask(t, http.MethodGet, "/docs/en/start").Body.String(), `<a href="errors">`)
}

// TestEveryLanguageHasTheSameGuides compares their headings by level.
func TestEveryLanguageHasTheSameGuides(t *testing.T) {
	t.Parallel()
	outline := func(path string) []string {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		return regexp.MustCompile(`(?m)^(?:#+|\| -|`+"```"+`\w*)`).FindAllString(string(text), -1)
	}
	names, err := os.ReadDir("../../../docs/guides/en")
	require.NoError(t, err)
	require.Len(t, names, 7)
	for _, name := range names {
		en, ko := outline("../../../docs/guides/en/"+name.Name()), outline("../../../docs/guides/ko/"+name.Name())
		require.Equal(t, en, ko, name.Name())
	}
}

func TestServedSpecificationsStandAlone(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/openapi.yaml", "/openapi/auth.json", "/openapi/operations.yaml"} {
		spec, err := openapi3.NewLoader().LoadFromData(ask(t, http.MethodGet, path).Body.Bytes())
		require.NoError(t, err, path)
		require.NoError(t, spec.Validate(t.Context()), path)
	}
}

// TestTheViewerIsTheOneThatWasTaken holds the committed viewer against the checksum that scripts/portal-viewer.sh pins.
func TestTheViewerIsTheOneThatWasTaken(t *testing.T) {
	t.Parallel()
	packed, err := os.ReadFile("assets/scalar.js.gz")
	require.NoError(t, err)
	require.Less(t, len(packed), 2<<20)
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	text, err := io.ReadAll(reader)
	require.NoError(t, err)
	sum := sha256.Sum256(text)
	for _, file := range []string{"assets/scalar.sha256", "../../../scripts/portal-viewer.sh"} {
		said, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(said), hex.EncodeToString(sum[:]), file)
	}
}
