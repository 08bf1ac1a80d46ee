// Package docs_test checks that every citation in the repository names something that is in the repository: a story, a
// rule, a number or a quality bar of docs/spec, a decision of docs/adr, a document, or a section of one.
package docs_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// citation is one way to cite. A text without hint has none of it, which is quicker to find out than a match.
type citation struct {
	hint    string
	pattern *regexp.Regexp
}

// between stands where a citation may be broken over two lines of a comment.
const between = `(?:[ -]|\s*\n\s*(?://|--|#|\*)?\s*)`

var (
	citedStory = citation{"UFR-", regexp.MustCompile(`\b(UFR-[A-Z]+-[0-9]+)\b`)}
	citedRule  = citation{"R-", regexp.MustCompile(`(?:^|[^\w-])(R-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*)\b`)}
	citedLimit = citation{"S-", regexp.MustCompile(`(?:^|[^\w-])(S-[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)*)\b`)}
	citedADR   = citation{"ADR", regexp.MustCompile(`\bADRs?` + between + `([0-9]{1,4})\b`)}
	citedPage  = citation{".md", regexp.MustCompile(`(?:^|[^\w./:{-])((?:\.{0,2}/)?[\w-][\w./-]*\.md)\b`)}
	citedDoc   = citation{"docs/", regexp.MustCompile(`(?:^|[^\w./-])(docs/[\w./-]*[\w-])`)}
	citedFile  = citation{"`", regexp.MustCompile(
		"`((?:core|ports|adapters|cmd|e2e|migrations|sql|openapi|scripts|tools)/[\\w./-]*[\\w-])`")}
	citedLink = citation{"](", regexp.MustCompile(`\]\(([^)\s]+)\)`)}

	// What can only lead out of the repository.
	foreign = map[string]citation{
		"cite an ADR instead of a numbered decision": {
			"ecision", regexp.MustCompile(`\b([Dd]ecisions?` + between + `[0-9])`),
		},
		"cite a rule or an ADR instead of an issue": {"ssue ", regexp.MustCompile(`\b([Ii]ssue (?:[A-Z]\b|#?[0-9]))`)},
		"cite docs/spec instead":                    {"../shared", regexp.MustCompile(`(\.\./shared\b)`)},
	}

	heading    = regexp.MustCompile(`(?m)^#{1,6} (.+)$`)
	anchor     = regexp.MustCompile(`<a id="([^"]+)"></a>`)
	definition = regexp.MustCompile(`(?m)^(?:#{1,6} |\| *(?:<a id="[^"]*"></a>)?)` +
		`(UFR-[A-Z]+-[0-9]+|[RS]-[A-Z][A-Z0-9-]*|[RSEW][0-9]{1,2})(?: … ([RSEW])([0-9]{1,2}))?(?: |$)`)
	fence     = regexp.MustCompile("(?ms)^ *```.*?^ *```")
	generated = regexp.MustCompile(`(?m)^// Code generated .* DO NOT EDIT\.$`)
)

// repository is what citations are resolved against. Paths are slash-separated and relative to its root.
type repository struct {
	ids   map[string]bool     // stories, rules, numbers and bars
	adrs  map[int]bool        // decisions
	paths map[string]bool     // files, and the folders that they are in
	pages map[string][]string // the anchors of each Markdown file
}

// newRepository reads the definitions out of files, whose keys are paths and whose values are contents. The error names
// all that is defined twice or wrongly.
func newRepository(files map[string]string) (repository, error) {
	r := repository{ids: map[string]bool{}, adrs: map[int]bool{}, paths: map[string]bool{}, pages: map[string][]string{}}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for dir := name; dir != "."; dir = path.Dir(dir) {
			r.paths[dir] = true
		}
		if path.Ext(name) != ".md" {
			continue
		}
		r.pages[name] = anchors(files[name])
		if path.Base(name) == "README.md" { // it says how ids look, or lists decisions, and defines none
			continue
		}
		switch path.Dir(name) {
		case "docs/spec":
			for _, id := range defined(files[name]) {
				if r.ids[id] {
					wrong = append(wrong, fmt.Sprintf("%s: %s is defined twice", name, id))
				}
				r.ids[id] = true
				if !slices.Contains(r.pages[name], strings.ToLower(id)) && !strings.HasPrefix(id, "UFR-") && id[0] != 'W' {
					wrong = append(wrong, fmt.Sprintf("%s: %s has no anchor %q", name, id, strings.ToLower(id)))
				}
			}
		case "docs/adr":
			n, err := strconv.Atoi(strings.SplitN(path.Base(name), "-", 2)[0])
			if err != nil || r.adrs[n] || !strings.HasPrefix(files[name], fmt.Sprintf("# %d. ", n)) {
				wrong = append(wrong, name+": an ADR is NNNN-title.md, its heading is its number and title, "+
					"and no number is used twice")
			}
			r.adrs[n] = true
		}
	}
	if wrong != nil {
		return r, fmt.Errorf("%s", strings.Join(wrong, "\n"))
	}
	return r, nil
}

// defined returns the ids that a page of docs/spec defines. "W1 … W20" defines all twenty.
func defined(page string) []string {
	var ids []string
	for _, m := range definition.FindAllStringSubmatch(page, -1) {
		if m[2] == "" {
			ids = append(ids, m[1])
			continue
		}
		first, _ := strconv.Atoi(m[1][1:])
		last, _ := strconv.Atoi(m[3])
		for n := first; n <= last; n++ {
			ids = append(ids, m[2]+strconv.Itoa(n))
		}
	}
	return ids
}

// anchors returns what a link into the page may name after its #: the slug of each heading, as GitHub makes it, and the
// anchors that are set by hand.
func anchors(page string) []string {
	var out []string
	seen := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		slug := strings.Map(func(c rune) rune {
			switch {
			case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
				return unicode.ToLower(c)
			case c == ' ':
				return '-'
			default:
				return -1
			}
		}, strings.TrimSpace(m[1]))
		if n := seen[slug]; n > 0 {
			out = append(out, slug+"-"+strconv.Itoa(n))
		} else {
			out = append(out, slug)
		}
		seen[slug]++
	}
	for _, m := range anchor.FindAllStringSubmatch(page, -1) {
		out = append(out, m[1])
	}
	return out
}

// unresolved returns one line for each citation in the text of file name that does not resolve, in no particular order.
func (r repository) unresolved(name, text string) []string {
	var out []string
	report := func(at int, format string, args ...any) {
		line := 1 + strings.Count(text[:at], "\n")
		out = append(out, fmt.Sprintf("%s:%d: %s", name, line, fmt.Sprintf(format, args...)))
	}
	each := func(c citation, resolve func(cited string) bool, complaint string) {
		for _, m := range c.in(text) {
			if cited := text[m[0]:m[1]]; !resolve(cited) {
				report(m[0], "%s %s", cited, complaint)
			}
		}
	}
	known := func(id string) bool { return r.ids[id] }
	each(citedStory, known, "is no story of docs/spec/stories.md")
	each(citedRule, known, "is no rule of docs/spec")
	each(citedLimit, known, "is no number of docs/spec/numbers.md")
	for _, m := range bars(text) {
		if bar := text[m[0]:m[1]]; !known(bar) {
			report(m[0], "%s is no quality bar of docs/spec/bars.md", bar)
		}
	}
	each(citedADR, func(n string) bool {
		i, err := strconv.Atoi(n)
		return err == nil && r.adrs[i]
	}, "is no ADR of docs/adr")
	exists := func(p string) bool { return r.paths[path.Clean(p)] || r.paths[path.Join(path.Dir(name), p)] }
	each(citedPage, exists, "is no file, from the root or from this folder")
	each(citedDoc, func(p string) bool { return strings.HasSuffix(p, ".md") || exists(p) }, "is no document")
	for complaint, c := range foreign {
		each(c, func(string) bool { return false }, "leads out of the repository: "+complaint)
	}
	if path.Ext(name) == ".md" && name != "CHANGELOG.md" { // which names what was there
		each(citedFile, exists, "is not there any more")
		r.links(name, text, report)
	}
	return out
}

// in returns where in the text the citations begin and end.
func (c citation) in(text string) [][2]int {
	if !strings.Contains(text, c.hint) {
		return nil
	}
	var at [][2]int
	for _, m := range c.pattern.FindAllStringSubmatchIndex(text, -1) {
		at = append(at, [2]int{m[2], m[3]})
	}
	return at
}

// bars returns where in the text quality bars are cited: a letter of theirs and one or two digits that stand alone. It
// does what a regular expression would in a tenth of the time.
func bars(text string) [][2]int {
	digit := func(i int) bool { return i < len(text) && text[i] >= '0' && text[i] <= '9' }
	word := func(i int) bool {
		if i < 0 || i >= len(text) {
			return false
		}
		c := text[i]
		return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
	}
	var at [][2]int
	for i := range len(text) - 1 {
		switch text[i] {
		case 'R', 'S', 'E', 'W':
		default:
			continue
		}
		end := i + 2
		if digit(end) {
			end++
		}
		if digit(i+1) && !word(i-1) && !word(end) && (i == 0 || text[i-1] != '-') {
			at = append(at, [2]int{i, end})
		}
	}
	return at
}

// blank returns as many bytes and lines as code has, with nothing on them.
func blank(code string) string {
	return newlines(code) + strings.Repeat(" ", len(code)-strings.Count(code, "\n"))
}

// newlines returns as many lines as code has, all empty.
func newlines(code string) string { return strings.Repeat("\n", strings.Count(code, "\n")) }

// links reports the relative links of a Markdown file that lead to no file, or to no section of it.
func (r repository) links(name, text string, report func(at int, format string, args ...any)) {
	prose := fence.ReplaceAllStringFunc(text, blank)
	for _, m := range citedLink.in(prose) {
		link := prose[m[0]:m[1]]
		if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
			continue
		}
		file, section, _ := strings.Cut(link, "#")
		target := name
		if file != "" {
			target = path.Join(path.Dir(name), file)
		}
		switch {
		case target != "." && !r.paths[target]:
			report(m[0], "the link %s leads to no file", link)
		case section != "" && !slices.Contains(r.pages[target], section):
			report(m[0], "the link %s leads to no section", link)
		}
	}
}

// TestEveryCitationResolves walks all files that git knows or would add, generated code left out: it repeats what is
// written in openapi/ and sql/.
func TestEveryCitationResolves(t *testing.T) {
	t.Parallel()
	files := tracked(t)
	r, err := newRepository(files)
	require.NoError(t, err)
	for _, id := range []string{"UFR-PROD-040", "S-QUOTA", "R-MONTH", "R15", "S8", "W20"} {
		require.True(t, r.ids[id], "%s is not defined: are the definitions found at all?", id)
	}
	var wrong []string
	for name, text := range files {
		foreign := name == "docs/citations_test.go" || name == "THIRD_PARTY_LICENSES"
		if foreign || generated.MatchString(text[:min(len(text), 500)]) {
			continue
		}
		wrong = append(wrong, r.unresolved(name, text)...)
	}
	for name := range files {
		if path.Dir(name) == "docs/adr" && !strings.Contains(files["docs/adr/README.md"]+"(README.md)",
			"("+path.Base(name)+")") {
			wrong = append(wrong, "docs/adr/README.md: does not list "+path.Base(name))
		}
	}
	slices.Sort(wrong)
	require.Empty(t, strings.Join(wrong, "\n"))
}

// TestDocumentsHaveShortLines holds Markdown to 120 columns; tables and code cannot be broken.
func TestDocumentsHaveShortLines(t *testing.T) {
	t.Parallel()
	const columns = 120
	var wrong []string
	for name, text := range tracked(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for i, line := range strings.Split(fence.ReplaceAllStringFunc(text, newlines), "\n") {
			if utf8.RuneCountInString(line) > columns && !strings.HasPrefix(line, "|") {
				wrong = append(wrong, fmt.Sprintf("%s:%d", name, i+1))
			}
		}
	}
	slices.Sort(wrong)
	require.Empty(t, wrong)
}

// tracked returns the text files of the repository and their contents.
func tracked(t *testing.T) map[string]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = ".."
	out, err := list.Output()
	require.NoError(t, err, "this test asks git which files belong to the repository")
	root := os.DirFS("..")
	files := map[string]string{}
	for _, name := range strings.Split(strings.TrimRight(string(out), "\x00"), "\x00") {
		text, err := fs.ReadFile(root, name)
		if err != nil || !utf8.Valid(text) || path.Base(name) == "go.sum" || path.Base(name) == "package-lock.json" {
			continue // deleted and not committed, binary, or full of hashes
		}
		files[name] = string(text)
	}
	require.Greater(t, len(files), 100)
	return files
}

// small is a repository with one of everything that can be cited.
func small() map[string]string {
	return map[string]string{
		"README.md":            "# A project",
		"core/line.go":         "package core",
		"docs/history.md":      "# History\n\n## Keys over an upgrade\n",
		"docs/spec/stories.md": "## UFR-BILL-010 The menu\n",
		"docs/spec/rules.md":   "### R-MONTH\nThis month.\n",
		"docs/spec/numbers.md": "| id |\n|---|\n| <a id=\"s-quota\"></a>S-QUOTA | 100 |\n",
		"docs/spec/bars.md":    "| id |\n|---|\n| <a id=\"r1\"></a>R1 | x |\n| W1 … W3 | y |\n",
		"docs/adr/0014-why.md": "# 14. Why\n",
	}
}

// TestUnresolved shows that the resolver can fail, and at what.
func TestUnresolved(t *testing.T) {
	t.Parallel()
	r, err := newRepository(small())
	require.NoError(t, err)
	for _, c := range []struct{ name, file, text, want string }{
		{
			"all good", "core/line.go",
			"// UFR-BILL-010, R-MONTH, S-QUOTA, bar R1, W2, ADR 14, ADR-0014, docs/history.md, docs/spec, RFC 9457.", "",
		},
		{
			"no citation", "core/line.go",
			"// E001, KOS-Order, x-S-OLD, TLS-RSA, a decision, an issue, S3A, https://x.test/docs/y.md", "",
		},
		{"unknown story", "core/line.go", "// (UFR-BILL-011)", "core/line.go:1: UFR-BILL-011 is no story"},
		{"unknown rule", "core/line.go", "\n// R-MONTHS", "core/line.go:2: R-MONTHS is no rule"},
		{"unknown number", "sql/a.sql", "-- (S-QUOTA-2)", "S-QUOTA-2 is no number"},
		{"unknown bar", "core/line.go", "// bar R16", "R16 is no quality bar"},
		{"bar beyond a range", "core/line.go", "// W4", "W4 is no quality bar"},
		{"unknown ADR", "core/line.go", "// see ADR 15", "15 is no ADR"},
		{"unknown ADR, broken line", "core/line.go", "// see ADR\n// 15", ":2: 15 is no ADR"},
		{"numbered decision", "core/line.go", "// (decision 14)", "cite an ADR"},
		{"numbered decision, broken line", "core/line.go", "// see (decision\n// 14)", "cite an ADR"},
		{"numbered decisions in SQL", "sql/a.sql", "-- Decisions 4, 23", "cite an ADR"},
		{"issue", "core/line.go", "// comes with issue I", "instead of an issue"},
		{"document beside the project", "core/line.go", "// (product.md)", "product.md is no file"},
		{"its folder", "core/line.go", "// ../shared/kos.md", "docs/spec instead"},
		{"unknown document", "core/line.go", "// docs/histories.md", "docs/histories.md is no file"},
		{"unknown folder", "core/line.go", "// docs/specs", "docs/specs is no document"},
		{
			"file that was moved", "docs/history.md", "`core/lines.go`, `core/line.go`, `core/<what>`",
			"core/lines.go is not there any more",
		},
		{
			"good links", "docs/history.md",
			"[a](spec/rules.md#r-month) [b](#keys-over-an-upgrade) [c](../README.md) [d](https://x.test/y.md)", "",
		},
		{"link in code", "docs/history.md", "```\n[a](nowhere)\n```", ""},
		{
			"link to no file", "docs/history.md", "한국어\n```\nx\n```\n[a](nowhere)",
			"docs/history.md:5: the link nowhere leads to no file",
		},
		{"link to no section", "docs/history.md", "[a](spec/rules.md#r-year)", "leads to no section"},
		{"link to no section here", "docs/history.md", "[a](#keys)", "leads to no section"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(r.unresolved(c.file, c.text), "\n")
			if c.want == "" {
				require.Empty(t, got)
				return
			}
			require.Contains(t, got, c.want)
		})
	}
}

// TestDefinitions shows that an id or a decision cannot be defined twice or without an anchor.
func TestDefinitions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ file, text, want string }{
		{"docs/spec/kos.md", "### R-MONTH\n", "R-MONTH is defined twice"},
		{"docs/spec/kos.md", "| S-NEW | without an anchor |\n", `S-NEW has no anchor "s-new"`},
		{"docs/adr/0014-also.md", "# 14. Also\n", "no number is used twice"},
		{"docs/adr/0015-other.md", "# 16. Other\n", "its heading is its number"},
		{"docs/adr/notes.md", "# Notes\n", "an ADR is NNNN-title.md"},
	} {
		files := small()
		files[c.file] = c.text
		_, err := newRepository(files)
		require.ErrorContains(t, err, c.want)
	}
}
