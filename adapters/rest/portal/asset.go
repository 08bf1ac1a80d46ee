package portal

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxAge is how long a browser may use a page or specification without asking, in seconds: a release shows soon.
const maxAge = "public, max-age=300"

// immutable is for an asset that is asked for by its hash.
const immutable = "public, max-age=31536000, immutable"

// asset is an answer that never changes while the process lives.
type asset struct {
	contentType string
	plain       []byte
	packed      []byte // gzip
	hash        string // of the plain form
}

func newAsset(contentType string, plain []byte) *asset {
	var packed bytes.Buffer
	// The writer fails for no level between 1 and 9, and a buffer takes every write.
	zip, _ := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	_, _ = zip.Write(plain)
	_ = zip.Close()
	return &asset{contentType, plain, packed.Bytes(), hashOf(plain)}
}

func hashOf(plain []byte) string {
	sum := sha256.Sum256(plain)
	return hex.EncodeToString(sum[:8])
}

// serve answers GET and HEAD, 304 when the client has it, compressed when the client takes that.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", maxAge)
	if r.URL.Query().Get("v") == a.hash {
		h.Set("Cache-Control", immutable)
	}
	h.Add("Vary", "Accept-Encoding")
	body, tag := a.plain, a.hash
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		body, tag = a.packed, a.hash+"-gzip"
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

func takesGzip(header []string) bool {
	for coding := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(coding, " ", ""), ";")
		if strings.EqualFold(name, "gzip") {
			return !slices.Contains([]string{"q=0", "q=0.0", "q=0.00", "q=0.000"}, strings.ToLower(weight))
		}
	}
	return false
}

//go:embed assets
var files embed.FS

// assets are the files below /docs/assets, by name.
var assets = sync.OnceValue(func() map[string]*asset {
	return map[string]*asset{
		"portal.css":   newAsset("text/css; charset=utf-8", read("portal.css")),
		"viewer.css":   newAsset("text/css; charset=utf-8", read("viewer.css")),
		"viewer.js":    newAsset("text/javascript; charset=utf-8", read("viewer.js")),
		"icon.svg":     newAsset("image/svg+xml", read("icon.svg")),
		"scalar.js":    unpacked("text/javascript; charset=utf-8", read("scalar.js.gz")),
		"licences.txt": newAsset("text/plain; charset=utf-8", read("scalar.licences.txt")),
	}
})

func read(name string) []byte {
	text, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic("portal: " + err.Error()) // a name above is wrong
	}
	return text
}

// unpacked returns an asset that is embedded compressed.
func unpacked(contentType string, packed []byte) *asset {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		panic("portal: " + err.Error()) // the embedded file is broken
	}
	plain, err := io.ReadAll(zip)
	if err != nil {
		panic("portal: " + err.Error())
	}
	return &asset{contentType, plain, packed, hashOf(plain)}
}
