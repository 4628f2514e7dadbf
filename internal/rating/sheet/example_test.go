package sheet_test

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/rating/sheet"
)

// The columns are recognised by the names that carriers use. A bad cell is named with
// what would be right.
func ExampleRead() {
	file := strings.NewReader("Dial Code;Price;Interval\n1876;$0.21;60/60\n44;free;1/1\n")
	_, problems, err := sheet.Read(file, sheet.Options{})
	for _, problem := range problems {
		fmt.Println(problem.Line, problem.Column, problem.Value)
	}
	fmt.Println(err)
	// Output:
	// 3 Price free
	// <nil>
}

// A column that is not known is asked about, with what to answer.
func ExampleRead_question() {
	text := "prefix,rate,Taktzeit\n44,0.01,1/1\n"
	_, _, err := sheet.Read(strings.NewReader(text), sheet.Options{})
	fmt.Println(strings.Contains(err.Error(), `"Taktzeit"`))
	columns, err := sheet.ReadMapping(`{"Taktzeit":"increments"}`)
	if err != nil {
		fmt.Println(err)
		return
	}
	read, _, err := sheet.Read(strings.NewReader(text), sheet.Options{Columns: columns})
	fmt.Println(read.Rows[0].Rate.Increment, err)
	// Output:
	// true
	// 1 <nil>
}
