package line_test

import (
	"fmt"

	"phonebill/core/line"
)

// A line number is accepted with or without hyphens, shown to its owner with them, and masked wherever it is printed.
func Example() {
	n, err := line.Parse("010-1234-5678")
	fmt.Println(n.Hyphenated(), err)
	fmt.Println(n)
	_, err = line.Parse("02-123-4567")
	fmt.Println(err != nil)
	// Output:
	// 010-1234-5678 <nil>
	// 010-****-5678
	// true
}
