// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.intel.acpi;

import java.util.ArrayList;
import java.util.List;
import org.iommu4j.platform.AcpiTable;

/** Says a parsed DMAR as ACPICA's disassembler says a table: offset, name, value. */
final class DmarText {
    /** One line; offset -1 for one that the disassembler prints without. */
    record Line(int offset, String name, String value) {}

    private final List<Line> lines = new ArrayList<>();
    private final AcpiTable raw;

    private DmarText(AcpiTable raw) {
        this.raw = raw;
    }

    static List<Line> of(byte[] bytes, Dmar dmar) {
        AcpiTable raw = AcpiTable.parse("DMAR", bytes);
        DmarText text = new DmarText(raw);
        text.header();
        text.hex(0x24, "Host Address Width", dmar.hostAddressWidth(), 2);
        text.hex(0x25, "Flags", dmar.flags(), 2);
        for (RemappingStructure structure : dmar.structures()) {
            text.structure(structure);
        }
        return text.lines;
    }

    private void header() {
        quoted(0, "Signature", raw.signature());
        hex(4, "Table Length", raw.length(), 8);
        hex(8, "Revision", raw.u8(8), 2);
        hex(9, "Checksum", raw.u8(9), 2);
        quoted(0x0a, "Oem ID", raw.text(0x0a, 6));
        quoted(0x10, "Oem Table ID", raw.text(0x10, 8));
        hex(0x18, "Oem Revision", raw.u32(0x18), 8);
        quoted(0x1c, "Asl Compiler ID", raw.text(0x1c, 4));
        hex(0x20, "Asl Compiler Revision", raw.u32(0x20), 8);
    }

    private void structure(RemappingStructure structure) {
        int at = structure.offset();
        hex(at, "Subtable Type", structure.type(), 4);
        hex(at + 2, "Length", structure.length(), 4);
        if (structure instanceof RemappingStructure.Drhd drhd) {
            hex(at + 4, "Flags", drhd.flags(), 2);
            hex(at + 5, "Size (decoded below)", drhd.size(), 2);
            lines.add(new Line(-1, "Size (pages, log2)", String.format("%X", drhd.size() & 0xf)));
            hex(at + 6, "PCI Segment Number", drhd.segment(), 4);
            hex(at + 8, "Register Base Address", drhd.registerBase(), 16);
            scopes(drhd.scopes());
        } else if (structure instanceof RemappingStructure.Rmrr rmrr) {
            hex(at + 6, "PCI Segment Number", rmrr.segment(), 4);
            hex(at + 8, "Base Address", rmrr.base(), 16);
            hex(at + 16, "End Address (limit)", rmrr.limit(), 16);
            scopes(rmrr.scopes());
        } else if (structure instanceof RemappingStructure.Atsr atsr) {
            hex(at + 4, "Flags", atsr.flags(), 2);
            hex(at + 6, "PCI Segment Number", atsr.segment(), 4);
            scopes(atsr.scopes());
        } else if (structure instanceof RemappingStructure.Rhsa rhsa) {
            hex(at + 8, "Base Address", rhsa.registerBase(), 16);
            hex(at + 16, "Proximity Domain", rhsa.proximityDomain(), 8);
        } else if (structure instanceof RemappingStructure.Andd andd) {
            hex(at + 7, "Device Number", andd.deviceNumber(), 2);
            quoted(at + 8, "Device Name", andd.name());
        } else if (structure instanceof RemappingStructure.Satc satc) {
            hex(at + 4, "Flags", satc.flags(), 2);
            hex(at + 6, "PCI Segment Number", satc.segment(), 4);
            scopes(satc.scopes());
        } else if (structure instanceof RemappingStructure.Sidp sidp) {
            hex(at + 6, "PCI Segment Number", sidp.segment(), 4);
            scopes(sidp.scopes());
        }
    }

    private void scopes(List<DeviceScope> scopes) {
        for (DeviceScope scope : scopes) {
            int at = scope.offset();
            hex(at, "Device Scope Type", scope.type(), 2);
            hex(at + 1, "Entry Length", scope.length(), 2);
            hex(at + 2, "Flags", scope.flags(), 2);
            hex(at + 4, "Enumeration ID", scope.enumerationId(), 2);
            hex(at + 5, "PCI Bus Number", scope.startBus(), 2);
            int hopAt = at + 6;
            for (DeviceScope.Hop hop : scope.path()) {
                lines.add(new Line(hopAt, "PCI Path", String.format("%02X,%02X", hop.device(), hop.function())));
                hopAt += 2;
            }
        }
    }

    private void hex(int offset, String name, long value, int digits) {
        lines.add(new Line(offset, name, String.format("%0" + digits + "X", value)));
    }

    private void quoted(int offset, String name, String value) {
        // Where we say '?' of a byte that is no character, the disassembler leaves a blank.
        lines.add(new Line(offset, name, '"' + value.replace('?', ' ') + '"'));
    }
}
