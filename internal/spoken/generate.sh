#!/bin/sh
# Makes the clips anew. It needs espeak-ng and sox, as of Debian. What espeak-ng says is no
# work of its authors, so the clips are under the licence of this project.
set -eu
cd "$(dirname "$0")/clips"
say() { # name, words a minute, text
	espeak-ng -v en-us -s "$2" -w "$1.wav" "$3"
	sox "$1.wav" -r 8000 -c 1 -e mu-law -t raw "$1.ulaw" \
		silence 1 0.01 0.5% reverse silence 1 0.01 0.5% reverse gain -n -3
	rm "$1.wav"
}
for digit in zero one two three four five six seven eight nine; do
	say "$digit" 130 "$digit"
done
say intro 140 "This is your verification code."
say again 140 "Once more."
