package customercsv_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/korean"

	"phonebill/adapters/customercsv"
	"phonebill/core/auth"
	"phonebill/core/auth/bulkimport"
)

// TestAQuotedLineEndMakesNoRecord: what stands within quotes is part of a field, whatever it looks like.
func TestAQuotedLineEndMakesNoRecord(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r\n", "\r"} {
		rows := read(t, strings.Join([]string{
			"user_id,password,name,lines,permissions", "before,Korrekt-Pferd-7,홍,,",
			`victim,Korrekt-Pferd-8,"홍`, "evil-row-1,Korrekt-Pferd-8,침입자,01099998888,BILL_INQUIRY", `시험",,`,
			"after,Korrekt-Pferd-9,김,,",
		}, end))
		require.Len(t, rows, 3)
		require.Equal(t, []string{"before", "victim", "after"}, []string{rows[0].UserID, rows[1].UserID, rows[2].UserID})
		require.Equal(t, []int{2, 3, 6}, []int{rows[0].Line, rows[1].Line, rows[2].Line},
			"a record is named by its first line")
		require.Equal(t, "홍\nevil-row-1,Korrekt-Pferd-8,침입자,01099998888,BILL_INQUIRY\n시험", rows[1].Name)
		_, err := auth.ParseName(rows[1].Name)
		require.Error(t, err, "no name has a line end: the record is refused as one")
	}
}

// TestAQuoteThatIsNeverClosed makes the rest of the file one refused record, however long it is.
func TestAQuoteThatIsNeverClosed(t *testing.T) {
	t.Parallel()
	for _, rest := range []string{"evil,x,y\n", strings.Repeat("evil,x,y\n", 50_000)} {
		rows := read(t, "user_id,name,password\ngood,홍,h\nopen,\"name,h\n"+rest)
		require.Len(t, rows, 2)
		require.NoError(t, rows[0].Bad)
		require.Error(t, rows[1].Bad)
		require.Equal(t, 3, rows[1].Line)
		require.Empty(t, rows[1].UserID)
	}
}

func cp949(t *testing.T, text string) []byte {
	t.Helper()
	raw, err := korean.EUCKR.NewEncoder().Bytes([]byte(text))
	require.NoError(t, err)
	return raw
}

func readBytes(t *testing.T, raw []byte) []bulkimport.Row {
	t.Helper()
	r, err := customercsv.NewReader(bytes.NewReader(raw))
	require.NoError(t, err)
	rows := slices.Collect(r.Rows())
	require.NoError(t, r.Err())
	return rows
}

// TestFilesOfKoreanExcelAreRead: CP949, with the first Korean text early or late in the file.
func TestFilesOfKoreanExcelAreRead(t *testing.T) {
	t.Parallel()
	for _, before := range []int{0, 20_000} {
		text := "user_id,name,password\r\n" + strings.Repeat("ascii,Kim,x\r\n", before) + "hong,\"홍, 길동\",똠방각하\r\n"
		rows := readBytes(t, cp949(t, text))
		require.Len(t, rows, before+1)
		last := rows[before]
		require.NoError(t, last.Bad)
		require.Equal(t, "홍, 길동", last.Name)
		require.Equal(t, "똠방각하", last.Password.Reveal(), "a syllable that CP949 has and EUC-KR has not")
	}
}

// TestAFileHasOneCharset: a record in another one is refused, not misread.
func TestAFileHasOneCharset(t *testing.T) {
	t.Parallel()
	header, utf, cp := "user_id,name,password\n", "a,홍길동,x\n", string(cp949(t, "b,홍길동,x\n"))
	padding := strings.Repeat("ascii,Kim,x\n", 10_000) // beyond what is looked at beforehand
	rows := readBytes(t, []byte(header+utf+padding+cp))
	require.NoError(t, rows[0].Bad)
	require.Error(t, rows[len(rows)-1].Bad)
	rows = readBytes(t, []byte(header+cp+padding+"c,\xff,x\n"))
	require.NoError(t, rows[0].Bad)
	require.Equal(t, "홍길동", rows[0].Name)
	require.Error(t, rows[len(rows)-1].Bad)
}

func TestUTF16IsAClearError(t *testing.T) {
	t.Parallel()
	for _, little := range []bool{true, false} {
		for _, mark := range []string{"\uFEFF", ""} {
			var raw []byte
			for _, unit := range utf16.Encode([]rune(mark + "user_id,name,password\n")) {
				pair := []byte{byte(unit), byte(unit >> 8)}
				if !little {
					slices.Reverse(pair)
				}
				raw = append(raw, pair...)
			}
			_, err := customercsv.NewReader(bytes.NewReader(raw))
			require.ErrorContains(t, err, "UTF-16")
			require.ErrorContains(t, err, "CSV UTF-8")
		}
	}
}

// FuzzRecords: reading ends, and no record is made of what encoding/csv takes for a part of another.
func FuzzRecords(f *testing.F) {
	f.Add("a,\"b\nc\",d\n")
	f.Add("\"\"\"\n\",x,y\r\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := customercsv.NewReader(strings.NewReader("user_id,name,password\n" + text))
		if err != nil {
			return
		}
		line := 1
		for row := range r.Rows() {
			require.Greater(t, row.Line, line)
			line = row.Line
		}
		require.NoError(t, r.Err())
	})
}
