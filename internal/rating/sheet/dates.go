package sheet

import (
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// looksSerial says whether a stored value may be a day as workbooks count them:
// 36526 is the first of 2000, 73050 the last of 2099.
func looksSerial(cell string) bool {
	whole, _, _ := strings.Cut(cell, ".")
	days, err := strconv.Atoi(whole)
	return len(whole) == 5 && err == nil && days >= 36526 && days <= 73050
}

// dateOf writes a day if its cell is formatted as one. What each style means is
// kept, as a workbook has few of them.
func dateOf(book *excelize.File, sheet string, column, row int, cell string, known map[int]bool) string {
	name, err := excelize.CoordinatesToCellName(column, row)
	if err != nil {
		return cell
	}
	style, err := book.GetCellStyle(sheet, name)
	if err != nil {
		return cell
	}
	isDate, seen := known[style]
	if !seen {
		isDate = dateStyle(book, style)
		known[style] = isDate
	}
	if !isDate {
		return cell
	}
	days, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		return cell
	}
	at, err := excelize.ExcelDateToTime(days, false)
	if err != nil {
		return cell
	}
	if at = at.Round(time.Second); at.Equal(at.Truncate(24 * time.Hour)) {
		return at.Format(time.DateOnly)
	}
	return at.Format(time.DateTime)
}

func dateStyle(book *excelize.File, id int) bool {
	style, err := book.GetStyle(id)
	if err != nil || style == nil {
		return false
	}
	if style.CustomNumFmt != nil {
		format := strings.ToLower(*style.CustomNumFmt)
		return strings.Contains(format, "y") && strings.Contains(format, "d")
	}
	return style.NumFmt >= 14 && style.NumFmt <= 17 || style.NumFmt == 22
}
