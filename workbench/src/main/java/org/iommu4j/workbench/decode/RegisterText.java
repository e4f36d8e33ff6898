// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.workbench.decode;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.host.InputException;
import org.iommu4j.host.Printable;
import org.iommu4j.sim.spi.RegisterDump;

/**
 * A copy of one unit's registers as text.
 *
 * <p>A line is one of
 *
 * <ul>
 *   <li>what QEMU's monitor prints for {@code xp /70gx ADDRESS} or {@code xp /140wx ADDRESS}: {@code 00000000fed90000:
 *       0x0000000000000010 0x00d2008c22260206}, and after the last one perhaps {@code 00000000fed90230: Cannot access
 *       memory};
 *   <li>an offset, or an address, and the 64 bits there, both hexadecimal: {@code 0x10 0xf00fca};
 *   <li>empty, a comment that begins with {@code #}, or a line of the monitor's own with its prompt.
 * </ul>
 */
public final class RegisterText {
    private static final int MAX_BYTES = 1 << 20;

    /** Characters of a line that makes no sense. */
    private static final int SHOWN = 60;

    /** More than any unit's registers, so that a file of two units is noticed. */
    private static final long MAX_OFFSET = 1 << 20;

    private static final Pattern MONITOR =
            Pattern.compile("([0-9a-fA-F]{8,16}):((?:\\s+0x(?:[0-9a-fA-F]{16}|[0-9a-fA-F]{8}))+)");
    private static final Pattern NO_VALUE = Pattern.compile("[0-9a-fA-F]+: Cannot access memory|\\(qemu\\).*|xp /.*");
    private static final Pattern PLAIN =
            Pattern.compile("(?:0[xX])?([0-9a-fA-F]{1,16})\\s+(?:0[xX])?([0-9a-fA-F]{1,16})");
    private static final Pattern SPACE = Pattern.compile("\\s+");

    private final String source;
    private final TreeMap<Long, Integer> halves = new TreeMap<>(Long::compareUnsigned);

    private RegisterText(String source) {
        this.source = source;
    }

    /**
     * Reads a file.
     *
     * @throws InputException when it can't be read or a line makes no sense; the message names file and line
     */
    public static RegisterDump read(Path file) {
        if (Files.exists(file) && !Files.isRegularFile(file)) {
            throw new InputException(file + ": is not a regular file, expected registers as text");
        }
        try (InputStream in = Files.newInputStream(file)) {
            if (Files.size(file) == 0) {
                // Files of the kernel are so too, and some keep their reader waiting for ever.
                throw new InputException(file + ": is empty, expected registers as text");
            }
            byte[] bytes = in.readNBytes(MAX_BYTES + 1);
            if (bytes.length > MAX_BYTES) {
                throw new InputException(file + ": is bigger than " + MAX_BYTES + " bytes, expected registers as text");
            }
            return parse(file.toString(), new String(bytes, StandardCharsets.UTF_8));
        } catch (NoSuchFileException e) {
            throw new InputException(file + ": no such file, expected registers as text", e);
        } catch (IOException e) {
            throw InputException.of(file.toString(), "can't be read", e);
        }
    }

    /**
     * Reads a text.
     *
     * @param source where it is from, for messages
     * @throws InputException when a line makes no sense; the message names source and line
     */
    public static RegisterDump parse(String source, String text) {
        RegisterText registers = new RegisterText(source);
        int number = 0;
        for (String line : List.of(text.split("\\R", -1))) {
            number++;
            registers.line(number, line.strip());
        }
        return registers.dump();
    }

    private void line(int number, String line) {
        if (line.isEmpty() || line.startsWith("#") || NO_VALUE.matcher(line).matches()) {
            return;
        }
        Matcher monitor = MONITOR.matcher(line);
        Matcher plain = PLAIN.matcher(line);
        if (monitor.matches()) {
            long address = Long.parseUnsignedLong(monitor.group(1), 16);
            for (String value : SPACE.split(monitor.group(2).strip(), -1)) {
                long word = Long.parseUnsignedLong(value.substring(2), 16);
                put(number, address, (int) word);
                if (value.length() == 18) {
                    put(number, address + 4, (int) (word >>> 32));
                }
                address += (value.length() - 2) / 2;
            }
        } else if (plain.matches()) {
            long offset = Long.parseUnsignedLong(plain.group(1), 16);
            if ((offset & 7) != 0) {
                throw refused(number, "offset 0x" + Long.toHexString(offset), "a multiple of 8");
            }
            long word = Long.parseUnsignedLong(plain.group(2), 16);
            put(number, offset, (int) word);
            put(number, offset + 4, (int) (word >>> 32));
        } else {
            throw refused(
                    number,
                    "'" + Printable.line(start(line)) + "'",
                    "'00000000fed90000: 0x0000000000000010 0x00d2008c22260206', or '0x10 0xf00fca'");
        }
    }

    private void put(int number, long address, int half) {
        if ((address & 3) != 0) {
            throw refused(number, "address 0x" + Long.toHexString(address), "a multiple of 4");
        }
        Integer other = halves.put(address, half);
        if (other != null && other != half) {
            throw refused(
                    number,
                    "another value at 0x" + Long.toHexString(address) + " than in a line before",
                    "each register once");
        }
    }

    private RegisterDump dump() {
        if (halves.isEmpty()) {
            throw new InputException(source + ": holds no register, expected lines like '0x10 0xf00fca'");
        }
        long first = halves.firstKey();
        // Offsets begin at 0; addresses of registers are far above memory that a PC has always had.
        long base = Long.compareUnsigned(first, MAX_OFFSET) < 0 ? 0 : first & -MemoryImage.PAGE_SIZE;
        if (Long.compareUnsigned(halves.lastKey() - base, MAX_OFFSET) >= 0) {
            throw new InputException(source + ": registers from 0x" + Long.toHexString(first) + " to 0x"
                    + Long.toHexString(halves.lastKey()) + ", expected those of one unit");
        }
        Map<Integer, Long> words = new HashMap<>();
        halves.forEach((address, low) -> {
            Integer high = halves.get(address + 4);
            if ((address & 7) == 0 && high != null) {
                words.put((int) (address - base), (long) high << 32 | (low & 0xffffffffL));
            }
        });
        return new RegisterDump(base, words);
    }

    private InputException refused(int number, String what, String expected) {
        return new InputException(source + ":" + number + ": " + what + ", expected " + expected);
    }

    /** The start of a line that may be anything. */
    private static String start(String line) {
        return line.length() > SHOWN ? line.substring(0, SHOWN) + "..." : line;
    }
}
