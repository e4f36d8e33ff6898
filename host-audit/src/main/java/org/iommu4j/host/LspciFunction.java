// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.host;

import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.iommu4j.pci.ConfigSpace;
import org.iommu4j.pci.PciAddress;
import org.jspecify.annotations.Nullable;

/**
 * The lines that {@code lspci} prints for one function, and the configuration space that they show or describe.
 *
 * <p>Where no hex is printed the space is put together from the text: header type, bus numbers, ids, class, the PCI
 * Express capability with its type, and of the extended capabilities ACS with its bits, SR-IOV with its virtual
 * functions, ATS, PRI and PASID. All else of it is left zero.
 */
final class LspciFunction {
    private static final Pattern HEX = Pattern.compile("([0-9a-f]{2,3}):((?: [0-9a-f]{2}){1,16})\\s*");
    private static final Pattern VERBOSE = Pattern.compile("\\s+(?:Flags|Control): .*");
    private static final Pattern CAPABILITY =
            Pattern.compile("\\s+Capabilities: \\[([0-9a-f]{2,3})(?: v[0-9a-f]+)?\\] (.*)");
    private static final Pattern DENIED = Pattern.compile("\\s+Capabilities: <access denied>.*");
    private static final Pattern BUSES =
            Pattern.compile("\\s+Bus: primary=([0-9a-f]{2}), secondary=([0-9a-f]{2}), subordinate=([0-9a-f]{2}).*");
    private static final Pattern NO_SNOOP = Pattern.compile("\\bNoSnoop([+-])");
    private static final Pattern RESET = Pattern.compile("\\bFLR(?:eset)?([+-])");
    private static final Pattern ACS = Pattern.compile("\\s+ACS(Cap|Ctl):\\s*(.*)");
    private static final Pattern IOV_CONTROL = Pattern.compile("\\s+IOVCtl:\\s*Enable([+-]).*");
    private static final Pattern IOV_COUNT = Pattern.compile("\\s+Initial VFs: .*Number of VFs: (\\d{1,5})\\b.*");
    private static final Pattern IOV_PLACES = Pattern.compile("\\s+VF offset: (\\d{1,5}), stride: (\\d{1,5})\\b.*");
    /** A line of its own at high verbosity, the end of the flags at low. */
    private static final Pattern GROUP = Pattern.compile("\\s+(?:IOMMU group: |Flags: .*, IOMMU group )(\\d{1,6})\\s*");

    private static final Pattern DRIVER = Pattern.compile("\\s+Kernel driver in use: (\\S{1,64})\\s*");

    /** A function has each of these once; where one comes again, the title of another function is missing before. */
    private static final Pattern ONCE = Pattern.compile("\\s+(Subsystem|Kernel driver in use|IOMMU group): ");

    private static final Pattern EXPRESS = Pattern.compile("Express (?:\\(v\\d+\\) )?(.*)");

    /** Device/port types of the PCI Express Capabilities register by the words that pciutils has for them. */
    private static final Map<String, Integer> TYPES = Map.of(
            "Endpoint", 0,
            "Legacy Endpoint", 1,
            "Root Port", 4,
            "Upstream Port", 5,
            "Downstream Port", 6,
            "PCI-Express to PCI/PCI-X Bridge", 7,
            "PCI/PCI-X to PCI-Express Bridge", 8,
            "Root Complex Integrated Endpoint", 9,
            "Root Complex Event Collector", 10);

    private static final Map<String, Integer> EXTENDED = Map.of(
            "Access Control Services", ConfigSpace.EXTENDED_CAPABILITY_ACS,
            "Single Root I/O Virtualization (SR-IOV)", ConfigSpace.EXTENDED_CAPABILITY_SRIOV,
            "Address Translation Service (ATS)", ConfigSpace.EXTENDED_CAPABILITY_ATS,
            "Page Request Interface (PRI)", ConfigSpace.EXTENDED_CAPABILITY_PRI,
            "Process Address Space ID (PASID)", ConfigSpace.EXTENDED_CAPABILITY_PASID);

    /** Bits of the ACS registers, in order from bit 0. */
    private static final String[] ACS_BITS = {
        "SrcValid", "TransBlk", "ReqRedir", "CmpltRedir", "UpstreamFwd", "EgressCtrl", "DirectTrans"
    };

    private static final int UNKNOWN_EXTENDED = 0xfffe;
    private static final int LAST_EXTENDED = 0xff8;
    /** Behind it there is no room for where virtual functions are. */
    private static final int LAST_SRIOV = 0xfe8;
    /** Behind it there is no room for Device Control. */
    private static final int LAST_EXPRESS = 0xf4;

    private static final int CARDBUS = 0x0607;
    private static final int PRIMARY_BUS = 0x18;

    private final LspciTitle title;
    private byte[] hex = new byte[0];
    private int hexLength;
    private boolean verbose;
    private boolean denied;
    private boolean capabilitiesSeen;
    private boolean inExpress;
    private boolean expressTypeUnknown;
    private int expressAt;
    private int expressType = -1;
    private int acsAt;
    private int acsCapability = -1;
    private int acsControl = -1;
    private int iovControl;
    private int iovCount;
    private int iovOffset;
    private int iovStride;
    private final int[] extendedAt = new int[0x20];
    private int @Nullable [] buses;
    private @Nullable Boolean noSnoop;
    private @Nullable Boolean reset;
    private int group = -1;
    private final Set<String> seen = new HashSet<>();
    private boolean ended;
    private @Nullable String driver;

    LspciFunction(LspciTitle title) {
        this.title = title;
    }

    /** Takes the next line of the function. */
    void line(String line) {
        if (!Character.isWhitespace(line.charAt(0))) {
            hexLine(line);
            return;
        }
        Matcher once = ONCE.matcher(line);
        ended |= once.lookingAt() && !seen.add(once.group(1));
        if (ended) {
            return;
        }
        verbose |= VERBOSE.matcher(line).matches();
        Matcher capability = CAPABILITY.matcher(line);
        if (capability.matches()) {
            capabilitiesSeen = true;
            capability(
                    Integer.parseInt(capability.group(1), 16),
                    capability.group(2).strip());
        } else if (DENIED.matcher(line).matches()) {
            denied = true;
        } else {
            detail(line);
        }
    }

    private void detail(String line) {
        Matcher bus = BUSES.matcher(line);
        if (bus.matches()) {
            buses = new int[] {
                Integer.parseInt(bus.group(1), 16),
                Integer.parseInt(bus.group(2), 16),
                Integer.parseInt(bus.group(3), 16)
            };
            return;
        }
        Matcher acs = ACS.matcher(line);
        if (acs.matches() && acsAt != 0) {
            if (acs.group(1).equals("Cap")) {
                acsCapability = acsBits(acs.group(2));
            } else {
                acsControl = acsBits(acs.group(2));
            }
            return;
        }
        if (virtualFunctions(line)) {
            return;
        }
        Matcher member = GROUP.matcher(line);
        if (member.matches()) {
            group = Integer.parseInt(member.group(1));
            return;
        }
        Matcher bound = DRIVER.matcher(line);
        if (bound.matches()) {
            driver = bound.group(1);
            return;
        }
        Matcher resets = RESET.matcher(line);
        if (resets.find()) {
            reset = resets.group(1).equals("+") || (reset != null && reset);
        }
        if (inExpress && noSnoop == null) {
            Matcher snoop = NO_SNOOP.matcher(line);
            if (snoop.find()) {
                noSnoop = snoop.group(1).equals("+");
            }
        }
    }

    private boolean virtualFunctions(String line) {
        Matcher control = IOV_CONTROL.matcher(line);
        Matcher count = IOV_COUNT.matcher(line);
        Matcher places = IOV_PLACES.matcher(line);
        if (control.matches()) {
            iovControl = control.group(1).equals("+") ? 1 : 0;
        } else if (count.matches()) {
            iovCount = Integer.parseInt(count.group(1));
        } else if (places.matches()) {
            iovOffset = Integer.parseInt(places.group(1));
            iovStride = Integer.parseInt(places.group(2));
        } else {
            return false;
        }
        return true;
    }

    private void capability(int offset, String words) {
        Matcher express = EXPRESS.matcher(words);
        boolean fits = offset >= 0x40 && offset <= LAST_EXPRESS;
        inExpress = express.matches() && fits && (expressAt == 0 || expressAt == offset);
        if (express.matches() && !fits) {
            expressTypeUnknown = true;
        }
        if (inExpress) {
            expressAt = offset & 0xfc;
            expressType = expressType(express.group(1));
            expressTypeUnknown = expressType < 0;
        }
        Integer extended = EXTENDED.get(words);
        if (extended != null && offset >= ConfigSpace.CONVENTIONAL_BYTES && offset <= LAST_EXTENDED) {
            extendedAt[extended] = offset & 0xffc;
            if (extended == ConfigSpace.EXTENDED_CAPABILITY_ACS) {
                acsAt = offset & 0xffc;
            }
        }
    }

    /** After the type, lspci prints other words, behind a comma or a bracket. */
    private static int expressType(String words) {
        int end = words.length();
        for (String stop : new String[] {",", " (", " IRQ", " MSI"}) {
            int at = words.indexOf(stop);
            end = at >= 0 ? Math.min(end, at) : end;
        }
        return TYPES.getOrDefault(words.substring(0, end).strip(), -1);
    }

    private static int acsBits(String words) {
        int bits = 0;
        for (int bit = 0; bit < ACS_BITS.length; bit++) {
            if (words.contains(ACS_BITS[bit] + "+")) {
                bits |= 1 << bit;
            }
        }
        return bits;
    }

    private void hexLine(String line) {
        Matcher dump = HEX.matcher(line);
        if (!dump.matches()) {
            return;
        }
        int offset = Integer.parseInt(dump.group(1), 16);
        if (offset != hexLength || hexLength >= ConfigSpace.EXPRESS_BYTES) {
            return; // a line is missing: what is behind it is not used
        }
        if (hex.length == 0) {
            hex = new byte[ConfigSpace.EXPRESS_BYTES];
        }
        String digits = dump.group(2);
        for (int i = 1; i < digits.length() && hexLength < hex.length; i += 3) {
            hex[hexLength++] = (byte) Integer.parseInt(digits.substring(i, i + 2), 16);
        }
    }

    /** Records all facts of the lines. */
    void record(EvidenceBuilder host, boolean shared, Source source) {
        FunctionFacts function = title.record(host, source);
        if (group >= 0) {
            function.group(group, source);
        }
        if (driver != null) {
            function.driver(driver, source);
        }
        if (noSnoop != null && !isVirtual()) {
            function.noSnoop(noSnoop, source);
        }
        if (reset != null) {
            function.resetsItself(reset, source);
        }
        byte[] raw = Arrays.copyOf(hex, hexLength);
        if (KnownConfig.usable(hexLength) > 0) {
            function.config(raw, source);
        }
        ConfigKnowledge known = described();
        if (known != ConfigKnowledge.NONE) {
            function.reconstructed(reconstruct(raw, known, shared), known, source);
        }
    }

    /**
     * Returns whether the hex has no ids, as that of a virtual function, whose Enable No Snoop is reserved.
     */
    private boolean isVirtual() {
        return hexLength > 1 && (hex[0] & hex[1]) == -1;
    }

    /** Returns how much of the configuration space the text shows. */
    private ConfigKnowledge described() {
        if (!verbose && !capabilitiesSeen) {
            return buses == null ? ConfigKnowledge.NONE : ConfigKnowledge.HEADER;
        }
        if (denied || expressTypeUnknown) {
            return ConfigKnowledge.HEADER;
        }
        return acsAt != 0 && (acsCapability < 0 || acsControl < 0) ? ConfigKnowledge.CAPABILITIES : ConfigKnowledge.ALL;
    }

    private byte[] reconstruct(byte[] raw, ConfigKnowledge known, boolean shared) {
        byte[] made = new byte
                [switch (known) {
                    case NONE -> 0;
                    case HEADER -> KnownConfig.HEADER_BYTES;
                    case CAPABILITIES -> ConfigSpace.CONVENTIONAL_BYTES;
                    case ALL -> expressAt == 0 ? ConfigSpace.CONVENTIONAL_BYTES : ConfigSpace.EXPRESS_BYTES;
                }];
        int usable = KnownConfig.usable(raw.length);
        System.arraycopy(raw, 0, made, 0, Math.min(made.length, usable));
        if (usable == 0) {
            header(made, shared);
        }
        if (usable < ConfigSpace.CONVENTIONAL_BYTES && made.length >= ConfigSpace.CONVENTIONAL_BYTES) {
            capabilities(made);
        }
        if (made.length == ConfigSpace.EXPRESS_BYTES) {
            extendedCapabilities(made);
        }
        return made;
    }

    private void header(byte[] made, boolean shared) {
        if (title.vendorId() >= 0) {
            put16(made, 0x00, title.vendorId());
            put16(made, 0x02, title.deviceId());
        }
        if (title.classCode() >= 0) {
            put16(made, 0x0a, title.classCode());
        }
        int layout = buses == null ? 0 : title.classCode() == CARDBUS ? 2 : 1;
        made[0x0e] = (byte) (layout | (shared ? 0x80 : 0));
        if (buses != null) {
            for (int i = 0; i < buses.length; i++) {
                made[PRIMARY_BUS + i] = (byte) buses[i];
            }
        }
    }

    private void capabilities(byte[] made) {
        made[0x06] &= ~0x10;
        made[0x34] = 0;
        if (expressAt != 0) {
            made[0x06] |= 0x10;
            made[0x34] = (byte) expressAt;
            made[expressAt] = ConfigSpace.CAPABILITY_PCI_EXPRESS;
            made[expressAt + 1] = 0;
            put16(made, expressAt + 2, expressType << 4);
            if (noSnoop != null) {
                put16(made, expressAt + 8, noSnoop ? 1 << 11 : 0);
            }
        }
    }

    private void extendedCapabilities(byte[] made) {
        NavigableMap<Integer, Integer> idAt = new TreeMap<>();
        for (int id = 0; id < extendedAt.length; id++) {
            if (extendedAt[id] != 0) {
                idAt.put(extendedAt[id], id);
            }
        }
        // The list begins at 0x100, where an entry of no known id leads on to the first that is kept.
        if (!idAt.isEmpty()) {
            idAt.putIfAbsent(ConfigSpace.CONVENTIONAL_BYTES, UNKNOWN_EXTENDED);
        }
        int next = 0;
        for (Map.Entry<Integer, Integer> capability : idAt.descendingMap().entrySet()) {
            put32(made, capability.getKey(), capability.getValue() | 1 << 16 | next << 20);
            next = capability.getKey();
        }
        int sriovAt = extendedAt[ConfigSpace.EXTENDED_CAPABILITY_SRIOV];
        if (sriovAt != 0 && sriovAt <= LAST_SRIOV) {
            put16(made, sriovAt + 0x08, iovControl);
            put16(made, sriovAt + 0x10, iovCount);
            put16(made, sriovAt + 0x14, iovOffset);
            put16(made, sriovAt + 0x16, iovStride);
        }
        if (acsAt != 0) {
            put16(made, acsAt + 4, acsCapability);
            put16(made, acsAt + 6, acsControl);
        }
    }

    private static void put16(byte[] bytes, int at, int value) {
        bytes[at] = (byte) value;
        bytes[at + 1] = (byte) (value >> 8);
    }

    private static void put32(byte[] bytes, int at, int value) {
        put16(bytes, at, value);
        put16(bytes, at + 2, value >>> 16);
    }

    /** Returns where it is. */
    PciAddress address() {
        return title.address();
    }
}
