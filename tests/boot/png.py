"""Just enough PNG to look at a screendump: 8-bit RGB or RGBA, not interlaced (PNG 1.2, sections 3 and 6)."""
import struct
import zlib


class Picture:
    def __init__(self, path):
        data = open(path, 'rb').read()
        if data[:8] != b'\x89PNG\r\n\x1a\n':
            raise ValueError(f'{path} is no PNG')
        at, packed = 8, b''
        while at < len(data):
            length, kind = struct.unpack('>I4s', data[at:at + 8])
            body = data[at + 8:at + 8 + length]
            at += 12 + length
            if kind == b'IHDR':
                self.width, self.height, depth, colour, _, _, interlace = struct.unpack('>IIBBBBB', body)
                if depth != 8 or colour not in (2, 6) or interlace:
                    raise ValueError(f'{path}: a form of PNG not known here')
                self.channels = 3 if colour == 2 else 4
            elif kind == b'IDAT':
                packed += body
        self.rows = self._unfilter(zlib.decompress(packed))

    def _unfilter(self, raw):
        stride, n, rows, last, at = self.width * self.channels, self.channels, [], None, 0
        last = bytearray(stride)
        for _ in range(self.height):
            kind, row = raw[at], bytearray(raw[at + 1:at + 1 + stride])
            at += 1 + stride
            for i in range(stride):
                a = row[i - n] if i >= n else 0
                b, c = last[i], last[i - n] if i >= n else 0
                if kind == 1:
                    row[i] = (row[i] + a) & 255
                elif kind == 2:
                    row[i] = (row[i] + b) & 255
                elif kind == 3:
                    row[i] = (row[i] + (a + b) // 2) & 255
                elif kind == 4:
                    p = a + b - c
                    pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
                    row[i] = (row[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
            rows.append(row)
            last = row
        return rows

    def pixel(self, x, y):
        row = self.rows[y]
        return tuple(row[x * self.channels:x * self.channels + 3])

    def colours(self):
        """Colour -> number of pixels."""
        count = {}
        n = self.channels
        for row in self.rows:
            for i in range(0, len(row), n):
                key = bytes(row[i:i + 3])
                count[key] = count.get(key, 0) + 1
        return count

    def differs(self, other):
        """Number of rows that are not the same."""
        if (self.width, self.height) != (other.width, other.height):
            return max(self.height, other.height)
        return sum(a != b for a, b in zip(self.rows, other.rows))
