# What: a headless screenshot of a page with scripts, text and colours.
#
# Exercises: Chromium brings its own malloc and would not use a preloaded one;
# its launcher and the tools it starts do. The case shows that the library is
# harmless inside a process of many threads where another malloc wins, among
# forks, zygotes and closed descriptors.
#
# Answer: a PNG of the size asked for, with the colours of the page where they
# belong, and the colour that the script sets only after its sums are right.
case_about='headless screenshot (own malloc: the library must be harmless)'
case_sets='quick'
case_tools='chromium python3'
case_packages='chromium python3 fonts-dejavu-core'
case_proof=chromium
case_own_malloc='@(chromium|chrome|chrome_crashpad_handler)'
case_limit=90

write_page() {
    cat <<'EOF'
<html><body style="margin:0;background:#ff0000">
<div style="position:absolute;left:200px;width:200px;height:300px;
background:#00ff00"></div>
<div id="made" style="position:absolute;left:0;top:150px;width:200px;
height:150px;background:#000000"></div>
<p style="position:absolute;left:210px">text</p>
<script>
let map = new Map(), sum = 0;
for (let i = 0; i < 300000; i++) {
    map.set('k' + i % 5000, new Array(i % 90).fill(i));
}
for (const list of map.values()) { sum += list.length; }
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 900;
const pen = canvas.getContext('2d');
pen.fillStyle = '#123456';
pen.fillRect(0, 0, 900, 900);
const dot = pen.getImageData(450, 450, 1, 1).data;
if (sum > 0 && map.size === 5000 && dot[0] === 0x12 && dot[2] === 0x56) {
    document.getElementById('made').style.background = '#0000ff';
}
</script></body></html>
EOF
}

# Decodes an 8-bit RGB or RGBA picture: prints its size and three pixels.
read_picture() {
    python3 - "$1" <<'EOF'
import struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
assert data[:8] == b'\x89PNG\r\n\x1a\n', 'no PNG'
at, packed = 8, b''
while at < len(data):
    size, kind = struct.unpack('>I4s', data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    if kind == b'IHDR':
        width, height, depth, colour = struct.unpack('>IIBB', body[:10])
    if kind == b'IDAT':
        packed += body
    at += size + 12
bytes_each = {2: 3, 6: 4}[colour]
assert depth == 8
raw, pitch, rows = zlib.decompress(packed), width * bytes_each, []
before = bytearray(pitch)
for y in range(height):
    kind, row = raw[y * (pitch + 1)], bytearray(
        raw[y * (pitch + 1) + 1:(y + 1) * (pitch + 1)])
    for x in range(pitch):
        left = row[x - bytes_each] if x >= bytes_each else 0
        up = before[x]
        corner = before[x - bytes_each] if x >= bytes_each else 0
        guess = left + up - corner
        paeth = min((abs(guess - left), 0, left), (abs(guess - up), 1, up),
                    (abs(guess - corner), 2, corner))[2]
        row[x] = (row[x] + (0, left, up, (left + up) // 2, paeth)[kind]) & 255
    rows.append(row)
    before = row
print(width, height, *(rows[y][x * bytes_each:x * bytes_each + 3].hex()
                       for x, y in ((50, 50), (300, 200), (100, 250))))
EOF
}

case_run() {
    local i
    write_page >page.html
    for i in $(seq "$(pick 1 2 5)"); do
        rm -rf profile picture.png
        under chromium --headless --no-sandbox --disable-gpu --no-first-run \
            --disable-background-networking --disable-component-update \
            --disable-sync --disable-dev-shm-usage \
            --user-data-dir="$PWD/profile" --force-device-scale-factor=1 \
            --hide-scrollbars --screenshot="$PWD/picture.png" \
            --window-size=400,300 "file://$PWD/page.html" >under.out 2>&1 ||
            { cat under.out; fail "chromium failed in round $i"; }
        expect "$(read_picture picture.png)" \
            '400 300 ff0000 00ff00 0000ff' 'size and colours'
    done
}
