package segments

import (
	"encoding/binary"
	"hash/crc32"
)

// A record stands as its length, its checksum (CRC-32C, which covers the length too) and itself.
const header = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // a table of constants

func checksum(length, record []byte) uint32 {
	return crc32.Update(crc32.Checksum(length, castagnoli), castagnoli, record)
}

func frame(records [][]byte) []byte {
	n := 0
	for _, r := range records {
		n += header + len(r)
	}
	out := make([]byte, 0, n)
	for _, r := range records {
		start := len(out)
		out = binary.BigEndian.AppendUint32(out, uint32(len(r))) //nolint:gosec // records are far smaller
		out = binary.BigEndian.AppendUint32(out, checksum(out[start:start+4], r))
		out = append(out, r...)
	}
	return out
}

// split returns the whole records. What does not match its checksum is skipped by its length when something whole comes
// after it, and is the torn rest of the file otherwise.
func split(content []byte) (whole [][]byte, damaged, rest int) {
	doubtful, good := 0, 0
	for at := 0; len(content)-at >= header; {
		end := at + header + int(binary.BigEndian.Uint32(content[at:]))
		if end > len(content) {
			break
		}
		record := content[at+header : end]
		if binary.BigEndian.Uint32(content[at+4:]) != checksum(content[at:at+4], record) {
			doubtful++
		} else {
			whole = append(whole, record)
			damaged, doubtful = damaged+doubtful, 0
			good = end
		}
		at = end
	}
	return whole, damaged, len(content) - good
}
