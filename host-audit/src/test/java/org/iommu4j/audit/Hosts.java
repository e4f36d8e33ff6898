// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.iommu4j.LinuxRelease;
import org.iommu4j.host.HostInputs;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.IommuVendor;
import org.iommu4j.spi.IommuVendors;

/** Hosts made by hand: tables, listings and logs in a folder. */
public final class Hosts {
    /** What a kernel prints that uses its units, but for the units. */
    public static final String LOG = """
            Linux version 6.1.0-9-amd64 (x@y) #1
            DMAR-IR: Enabled IRQ remapping in x2apic mode
            DMAR: Intel(R) Virtualization Technology for Directed I/O
            """;

    /** A unit at fed90000 without snoop control. */
    public static final String UNIT0 = "DMAR: dmar0: reg_base_addr fed90000 ver 1:0 cap d2008c40660462 ecap f0505a\n";

    /** A unit at fed91000 with snoop control. */
    public static final String UNIT1 = "DMAR: dmar1: reg_base_addr fed91000 ver 1:0 cap d2008c40660462 ecap f050da\n";

    private static final int CHECKSUM = 9;

    private final Path folder;
    private final List<Path> inputs = new ArrayList<>();
    private IommuVendors vendors = IommuVendors.load();

    public Hosts(Path folder) {
        this.folder = folder;
    }

    /** Is asked about by these vendors alone. */
    public Hosts vendors(IommuVendor... its) {
        vendors = IommuVendors.of(List.of(its));
        return this;
    }

    /** Adds a DMAR of such units. */
    public Hosts dmar(byte[]... units) throws IOException {
        int length = 48 + Arrays.stream(units).mapToInt(unit -> unit.length).sum();
        ByteBuffer table = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
        table.put("DMAR".getBytes(StandardCharsets.US_ASCII)).putInt(length).put((byte) 1);
        table.position(36).put((byte) 38).put((byte) 1).position(48);
        for (byte[] unit : units) {
            table.put(unit);
        }
        return table("DMAR", table);
    }

    /** A unit of DMAR; its scopes are functions on bus 0 by device number. */
    public static byte[] unit(long base, boolean includeAll, int... devices) {
        ByteBuffer unit = ByteBuffer.allocate(16 + 8 * devices.length).order(ByteOrder.LITTLE_ENDIAN);
        unit.putShort((short) 0).putShort((short) unit.capacity()).put((byte) (includeAll ? 1 : 0));
        unit.position(8).putLong(base);
        for (int device : devices) {
            unit.put((byte) 1).put((byte) 8).putShort((short) 0).put((byte) 0).put((byte) 0);
            unit.put((byte) device).put((byte) 0);
        }
        byte[] bytes = new byte[unit.capacity()];
        unit.rewind().get(bytes);
        return bytes;
    }

    /** Adds an IVRS with a unit 00:00.2 that has one function. */
    public Hosts ivrs(String function) throws IOException {
        ByteBuffer table = ByteBuffer.allocate(48 + 40 + 4).order(ByteOrder.LITTLE_ENDIAN);
        table.put("IVRS".getBytes(StandardCharsets.US_ASCII))
                .putInt(table.capacity())
                .put((byte) 1);
        table.position(36).putInt(1).position(48);
        table.put((byte) 0x11)
                .put((byte) 0x30)
                .putShort((short) 44)
                .putShort((short) 2)
                .putShort((short) 0x40);
        table.putLong(0xfeb8_0000L).position(88).put((byte) 2);
        table.putShort((short) PciAddress.parse(function).requesterId());
        return table("IVRS", table);
    }

    private Hosts table(String signature, ByteBuffer table) throws IOException {
        byte[] bytes = new byte[table.capacity()];
        table.rewind().get(bytes);
        int sum = 0;
        for (byte each : bytes) {
            sum += each;
        }
        bytes[CHECKSUM] = (byte) -sum;
        inputs.add(Files.write(folder.resolve(signature + ".dat"), bytes));
        return this;
    }

    public Hosts lspci(String... functions) throws IOException {
        return text("lspci.txt", String.join("\n", functions));
    }

    public Hosts text(String name, String text) throws IOException {
        inputs.add(Files.writeString(folder.resolve(name), text));
        return this;
    }

    /** Adds a directory with a {@code sys/} tree. */
    public Hosts tree(Path directory) {
        inputs.add(directory);
        return this;
    }

    public Audit audit(String release, String... assigned) {
        HostInputs reader = HostInputs.withInstalledVendors();
        inputs.forEach(reader::path);
        return new Auditor(vendors)
                .audit(
                        reader.read(),
                        Optional.of(LinuxRelease.named(release)),
                        Arrays.stream(assigned).map(PciAddress::parse).toList());
    }

    public static AuditedDevice device(Audit audit, String address) {
        return audit.device(PciAddress.parse(address)).orElseThrow();
    }

    /** The groups by the short addresses of their members. */
    public static List<String> groups(Audit audit) {
        return audit.groups().stream()
                .map(group -> String.join(
                        " ",
                        group.devices().stream()
                                .map(address -> address.toString().substring(5))
                                .toList()))
                .toList();
    }

    /** A function of which nothing but its title is said. */
    public static String function(String title) {
        return title + "\n\tControl: I/O- Mem+ BusMaster+\n";
    }

    /** What follows of a function that a driver has and that is in a group. */
    public static String in(int group, String driver) {
        return (driver.isEmpty() ? "" : "\tKernel driver in use: " + driver + "\n") + "\tIOMMU group: " + group + "\n";
    }

    /** A function with a PCI Express capability, as {@code lspci -vv} shows it. */
    public static String express(String title, String type, boolean noSnoop) {
        return function(title) + "\tCapabilities: [90] Express (v2) " + type + ", MSI 00\n"
                + "\t\tDevCtl:\tCorrErr- NonFatalErr- FatalErr- UnsupReq-\n\t\t\tRlxdOrd- ExtTag- NoSnoop"
                + (noSnoop ? "+" : "-") + "\n";
    }

    /** A port with its buses. */
    public static String port(String title, String type, String secondary, String subordinate) {
        return express(title, type, false)
                + String.format("\tBus: primary=00, secondary=%s, subordinate=%s%n", secondary, subordinate);
    }

    /** What follows of a port that has all that Linux asks of ACS, on or off. */
    public static String acs(boolean on) {
        String bits = "\tSrcValid%1$s TransBlk- ReqRedir%1$s CmpltRedir%1$s UpstreamFwd%1$s EgressCtrl- DirectTrans-%n";
        return "\tCapabilities: [110 v1] Access Control Services\n\t\tACSCap:" + String.format(bits, "+")
                + "\t\tACSCtl:" + String.format(bits, on ? "+" : "-");
    }
}
