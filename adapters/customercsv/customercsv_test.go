package customercsv_test

import (
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"phonebill/adapters/customercsv"
	"phonebill/core/auth/bulkimport"
	"phonebill/core/fault"
)

func read(t *testing.T, text string) []bulkimport.Row {
	t.Helper()
	r, err := customercsv.NewReader(strings.NewReader(text))
	require.NoError(t, err)
	rows := slices.Collect(r.Rows())
	require.NoError(t, r.Err())
	return rows
}

func TestColumnsInAnyOrderAndLineEndsOfAnySystem(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r\n", "\r"} {
		for _, mark := range []string{"", "\uFEFF"} {
			rows := read(t, mark+strings.Join([]string{
				"Name, user_id ,password,lines,permissions,email,phone,customer_id",
				`"홍, 길동", hong , p w ,01012345678; 010-8765-4321;,A;B,e@x,010,C-1`, "",
				`"say ""hi""",kim,"a,b",,,,,`,
			}, end))
			require.Len(t, rows, 2)
			r := rows[0]
			require.NoError(t, r.Bad)
			require.Equal(t, []string{"홍, 길동", "hong", " p w ", "e@x", "010", "C-1"},
				[]string{r.Name, r.UserID, r.Password.Reveal(), r.Email, r.Phone, r.CustomerID}, "a password keeps its spaces")
			require.Equal(t, []string{"01012345678", "010-8765-4321"}, r.Lines)
			require.Equal(t, []string{"A", "B"}, r.Permissions)
			require.Equal(t, []string{`say "hi"`, "a,b"}, []string{rows[1].Name, rows[1].Password.Reveal()})
			require.Equal(t, []int{2, 4}, []int{rows[0].Line, rows[1].Line})
		}
	}
}

func TestABadLineSpoilsNoOther(t *testing.T) {
	t.Parallel()
	rows := read(t, strings.Join([]string{
		"user_id,name,password_hash", `open,"quote"x,h`, "good,홍,h", "few,x", "many,x,y,z", "bad\xff,x,y",
		strings.Repeat("x", 200_000), `q"uote,x,y`, "last,홍,h",
	}, "\n"))
	require.Len(t, rows, 8)
	for i, r := range rows {
		if i == 1 || i == 7 {
			require.NoError(t, r.Bad, i)
			continue
		}
		require.ErrorIs(t, r.Bad, fault.New(fault.ValidationError), i)
		require.Empty(t, r.UserID)
	}
	require.Equal(t, 9, rows[7].Line)
}

func TestAHeaderIsNeeded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                            "header cannot be read",
		"user_id,name":                "lacks the column password or password_hash",
		"user_id,password":            "lacks the column name",
		"name,password":               "lacks the column user_id",
		"user_id,name,password,role":  "column 4 is none of",
		"user_id,name,password,name":  "names the column name twice",
		`user_id,"name`:               "no header",
		strings.Repeat("x", 100_000):  "no header",
		"hong,홍길동,secret-of-somebody": "column 1 is none of",
	} {
		_, err := customercsv.NewReader(strings.NewReader(text))
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "secret-of-somebody")
	}
}

func TestReadAheadIsNotConsumed(t *testing.T) {
	t.Parallel()
	r, err := customercsv.NewReader(strings.NewReader("user_id,name,password\na,b,c\r\ndd,e,f\n"))
	require.NoError(t, err)
	var consumed []int64
	for range r.Rows() {
		consumed = append(consumed, r.Consumed())
	}
	require.Equal(t, []int64{29, 36}, consumed)
}

func TestATruncatedFileIsAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk")
	r, err := customercsv.NewReader(io.MultiReader(strings.NewReader("user_id,name,password\na,b,c\n"),
		iotest.ErrReader(broken)))
	require.NoError(t, err)
	require.Len(t, slices.Collect(r.Rows()), 1)
	require.ErrorIs(t, r.Err(), broken)
	for range r.Rows() {
		require.FailNow(t, "nothing comes after")
	}
}

func TestReadingMayStopEarly(t *testing.T) {
	t.Parallel()
	r, err := customercsv.NewReader(strings.NewReader("user_id,name,password\na,b,c\nd,e,f\n"))
	require.NoError(t, err)
	for row := range r.Rows() {
		require.Equal(t, "a", row.UserID)
		break
	}
	require.Len(t, slices.Collect(r.Rows()), 1)
}

// endless yields lines for ever, or n of them.
type endless struct {
	remaining int
	rest      string
}

func (e *endless) Read(p []byte) (int, error) {
	if e.rest == "" {
		if e.remaining == 0 {
			return 0, io.EOF
		}
		e.remaining--
		e.rest = "someone,홍길동,long enough\n"
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	t.Parallel()
	r, err := customercsv.NewReader(io.MultiReader(strings.NewReader("user_id,name,password\n"),
		&endless{remaining: 100_000}))
	require.NoError(t, err)
	var before, after runtime.MemStats
	n := 0
	for range r.Rows() {
		if n++; n == 1000 {
			runtime.GC()
			runtime.ReadMemStats(&before)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Equal(t, 100_000, n)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(4<<20))
}

func TestTheReportHoldsNoPassword(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	report, err := customercsv.NewReport(&out)
	require.NoError(t, err)
	require.NoError(t, report.Add(bulkimport.Row{Line: 2, UserID: "hong"}, fault.InvalidField("name", "이유, 하나")))
	require.NoError(t, report.Add(bulkimport.Row{Line: 3, UserID: "p@ss word"}, fault.InvalidField("userId", "x")))
	require.NoError(t, report.Add(bulkimport.Row{Line: 4, UserID: "slipped", Bad: errors.New("x")},
		errors.New("internals")))
	require.NoError(t, report.Flush())
	require.Equal(t,
		"line,user_id,field,reason\n2,hong,name,\"이유, 하나\"\n3,,userId,x\n4,,,처리 중 오류가 발생하였습니다\n",
		out.String())
}
