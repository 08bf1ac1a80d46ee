package portal

import (
	"bytes"
	"fmt"
	"html/template"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"phonebill"
	"phonebill/adapters/rest"
	"phonebill/core/fault"
	"phonebill/docs/guides"
)

const (
	referenceName = "reference"
	changelogName = "changelog"
	// catalogueMark is the line of a guide that the table of error codes stands in for.
	catalogueMark = "<!-- catalogue -->"
)

// guideNames are the guides in the order of the navigation.
var guideNames = []string{"start", "change", "errors", "limits", "sandbox", "browsers", "versioning"}

// words are what the pages say around the guides.
type words struct {
	Portal, Reference, Changelog, Other, Skip, Menu, Guides, Footer, Licences, Specification string
	Login, LoginHint, UserID, Password, Submit, Forget, Script                               string
	Code, Status, Message, Meaning                                                           string
}

var texts = map[string]words{
	"ko": {
		Portal: "개발자 포털", Reference: "API 레퍼런스", Changelog: "변경 이력", Other: "English", Skip: "본문으로 건너뛰기",
		Menu: "메뉴", Guides: "가이드", Footer: "이 페이지는 다른 서버에 아무것도 요청하지 않습니다.", Licences: "라이선스",
		Specification: "명세",
		Login:         "샌드박스 로그인", LoginHint: "토큰은 이 탭의 메모리에만 있으며, 탭을 닫거나 새로 고치면 사라집니다.",
		UserID: "ID", Password: "비밀번호", Submit: "로그인", Forget: "토큰 지우기",
		Script: "이 페이지에는 JavaScript가 필요합니다.",
		Code:   "코드", Status: "상태", Message: "메시지", Meaning: "뜻(영문)",
	},
	"en": {
		Portal: "Developer portal", Reference: "API reference", Changelog: "Changelog", Other: "한국어",
		Skip: "Skip to the content", Menu: "Menu", Guides: "Guides", Footer: "This page asks no other server for anything.",
		Licences: "Licences", Specification: "Specification",
		Login: "Sandbox login", LoginHint: "The token is in the memory of this tab alone, until it is closed or reloaded.",
		UserID: "Id", Password: "Password", Submit: "Log in", Forget: "Forget the token",
		Script: "This page needs JavaScript.",
		Code:   "Code", Status: "Status", Message: "Message (Korean)", Meaning: "Meaning",
	},
}

// page is what page.html shows.
type page struct {
	Lang, OtherLang, Name, Title string
	Words                        words
	Links                        []link
	Body                         template.HTML // of our own Markdown
	Logins                       []login
	Style, Viewer, ViewerStyle   string // addresses of assets
	Library                      string
}

type link struct {
	Name, Title string
	Current     bool
}

// login is a demo account that the form suggests.
type login struct{ UserID, Line string }

// layout shows a page. The viewer's page has the same frame.
var layout = template.Must(template.New("page.html").ParseFS(files, "assets/page.html"))

func newPage(lang, name string) page {
	other := languages[(slices.Index(languages, lang)+1)%len(languages)]
	p := page{
		Lang: lang, OtherLang: other, Name: name, Words: texts[lang], Style: address("portal.css"),
		Viewer: address("viewer.js"), ViewerStyle: address("viewer.css"), Library: address("scalar.js"),
	}
	for _, guide := range guideNames {
		p.Links = append(p.Links, link{guide, titles()[lang+"/"+guide], guide == name})
	}
	p.Links = append(p.Links, link{changelogName, p.Words.Changelog, name == changelogName})
	for _, l := range p.Links {
		if l.Current {
			p.Title = l.Title
		}
	}
	return p
}

// address returns the path of an asset with its hash, so that it may be kept for good.
func address(name string) string { return "/docs/assets/" + name + "?v=" + assets()[name].hash }

func (p page) asset() *asset {
	var out bytes.Buffer
	if err := layout.Execute(&out, p); err != nil {
		panic("portal: " + err.Error()) // the template does not fit the type
	}
	return newAsset("text/html; charset=utf-8", out.Bytes())
}

// reference returns the page of the viewer.
func (c Config) reference(lang string) *asset {
	p := newPage(lang, referenceName)
	p.Title = p.Words.Reference
	for _, entry := range c.SandboxLogins {
		id, line, _ := strings.Cut(entry, ":")
		p.Logins = append(p.Logins, login{id, line})
	}
	return p.asset()
}

// titles are the headings of the guides, by language and name.
var titles = sync.OnceValue(func() map[string]string {
	all := map[string]string{}
	for _, lang := range languages {
		for _, name := range guideNames {
			first, _, _ := strings.Cut(guide(lang, name), "\n")
			all[lang+"/"+name] = strings.TrimPrefix(first, "# ")
		}
	}
	return all
})

func guide(lang, name string) string {
	source, err := guides.Files.ReadFile(lang + "/" + name + ".md")
	if err != nil {
		panic("portal: " + err.Error()) // guideNames has one that is not there
	}
	return string(source)
}

// pages are the guides and the changelog as HTML, by language and name.
var pages = sync.OnceValue(func() map[string]*asset {
	all := map[string]*asset{}
	for _, lang := range languages {
		for _, name := range guideNames {
			p := newPage(lang, name)
			source := strings.Replace(guide(lang, name), catalogueMark, catalogue(p.Words), 1)
			p.Body = render([]byte(source))
			all[lang+"/"+name] = p.asset()
		}
		p := newPage(lang, changelogName)
		p.Body = render(phonebill.Changelog)
		all[lang+"/"+changelogName] = p.asset()
	}
	return all
})

// citation is what a meaning cites of the repository's own documents.
var citation = regexp.MustCompile(` \((UFR|ADR|R|S)-[A-Z0-9-]+\)`)

// catalogue is the table of all error codes, made of core/fault.
func catalogue(w words) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| %s | %s | %s | %s |\n|---|---|---|---|\n", w.Code, w.Status, w.Message, w.Meaning)
	for _, e := range fault.Catalogue() {
		fmt.Fprintf(&out, "| `%s` | %d | %s | %s |\n",
			e.Code, rest.Status(e.Kind), e.Message, citation.ReplaceAllString(e.Meaning, ""))
	}
	return out.String()
}

var markdown = goldmark.New(
	goldmark.WithExtensions(extension.Table, extension.Linkify),
	goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithASTTransformers(util.Prioritized(transformer{}, 0))),
)

func render(source []byte) template.HTML {
	var out bytes.Buffer
	ids := parser.NewContext(parser.WithIDs(&anchors{taken: map[string]bool{}}))
	if err := markdown.Convert(source, &out, parser.WithContext(ids)); err != nil {
		panic("portal: " + err.Error()) // a buffer takes every write
	}
	// A wide table or program is scrolled by itself, also with the keyboard, and not the page.
	html := strings.NewReplacer(
		"<table>", `<div class="scroll" tabindex="0"><table>`, "</table>", "</table></div>", "<pre>", `<pre tabindex="0">`,
	).Replace(out.String())
	return template.HTML(html) //nolint:gosec // it is made of files of this repository, and raw HTML is left out
}

// transformer makes links between the files of the repository links between the pages of the portal. What the portal
// does not have becomes plain text.
type transformer struct{}

// Transform implements parser.ASTTransformer.
func (transformer) Transform(doc *ast.Document, _ text.Reader, _ parser.Context) {
	var gone []*ast.Link
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		l, ok := n.(*ast.Link)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		to := string(l.Destination)
		name, fragment, _ := strings.Cut(to, "#")
		name = strings.TrimSuffix(name, ".md")
		switch path.Base(to) {
		case "bundle.yaml":
			name = referenceName
		case "CHANGELOG.md":
			name = changelogName
		}
		switch {
		case strings.HasPrefix(to, "https://"), strings.HasPrefix(to, "#"), strings.HasPrefix(to, "/"):
		case slices.Contains(guideNames, name), name == referenceName, name == changelogName:
			if fragment != "" {
				name += "#" + fragment
			}
			l.Destination = []byte(name)
		default:
			gone = append(gone, l)
		}
		return ast.WalkContinue, nil
	})
	for _, l := range gone {
		parent := l.Parent()
		for child := l.FirstChild(); child != nil; child = l.FirstChild() {
			parent.InsertBefore(parent, l, child)
		}
		parent.RemoveChild(parent, l)
	}
}

// anchors gives headings ids, of Korean letters too: the slugs that GitHub makes.
type anchors struct{ taken map[string]bool }

// Generate implements parser.IDs.
func (a *anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	slug := strings.Map(func(c rune) rune {
		switch {
		case unicode.IsLetter(c), unicode.IsDigit(c), c == '-', c == '_':
			return unicode.ToLower(c)
		case c == ' ':
			return '-'
		default:
			return -1
		}
	}, strings.TrimSpace(string(value)))
	unique := slug
	for n := 1; a.taken[unique]; n++ {
		unique = fmt.Sprintf("%s-%d", slug, n)
	}
	a.taken[unique] = true
	return []byte(unique)
}

// Put implements parser.IDs.
func (a *anchors) Put(value []byte) { a.taken[string(value)] = true }
