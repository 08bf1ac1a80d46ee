package valkey

import "strings"

// parts is into how many parts a cluster is divided for resting: one node in trouble is no reason not to use the
// others. A node has neighbouring slots, so few parts are on two nodes. Without a cluster there is one part.
const parts = 64

func (c *Client) part(key string) int {
	if !c.cfg.Cluster {
		return 0
	}
	return slot(key) / (slots / parts)
}

const slots = 1 << 14

// slot returns the slot of a key in a cluster: of what is between the first braces, if there is anything, else of the
// whole key (cluster specification, "Hash tags"). The checksum is CRC-16/XMODEM.
func slot(key string) int {
	if _, after, ok := strings.Cut(key, "{"); ok {
		if tag, _, ok := strings.Cut(after, "}"); ok && tag != "" {
			key = tag
		}
	}
	const polynomial, top, bits = 0x1021, 0x8000, 8
	var crc uint16
	for i := range len(key) {
		crc ^= uint16(key[i]) << bits
		for range bits {
			if crc&top != 0 {
				crc = crc<<1 ^ polynomial
			} else {
				crc <<= 1
			}
		}
	}
	return int(crc) % slots
}
