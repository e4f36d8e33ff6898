// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.audit;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.iommu4j.pci.PciAddress;
import org.iommu4j.spi.Answer;
import org.iommu4j.spi.Reason;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Functions below an Intel VMD: their requests carry its requester id. */
class VmdsTest {
    private static final String VMD = "RAID bus controller: Intel Corporation Volume Management Device NVMe RAID";
    private static final String DISK = "Non-Volatile memory controller: Maker Disk";

    @TempDir
    private Path folder;

    private Hosts host() throws IOException {
        return new Hosts(folder).text("dmesg.txt", Hosts.LOG + Hosts.UNIT0).dmar(Hosts.unit(0xfed9_0000L, true));
    }

    private static List<String> texts(List<Reason> reasons) {
        return reasons.stream().map(Reason::text).toList();
    }

    @Test
    void theAnswerForAFunctionBelowIsToAssignTheVmd() throws IOException {
        Audit audit = host().lspci(
                        Hosts.express("00:0e.0 " + VMD, "Endpoint", true) + Hosts.in(9, "vmd"),
                        Hosts.express("10000:e0:06.0 PCI bridge: Maker Port", "Root Port (Slot+)", false)
                                + Hosts.in(9, "pcieport"),
                        Hosts.express("10000:e1:00.0 " + DISK, "Endpoint", true) + Hosts.in(9, "nvme"))
                .audit("6.1", "10000:e1:00.0");
        Assignment assignment = audit.assignment();
        assertThat(assignment.assignable()).isEqualTo(Answer.NO);
        assertThat(texts(assignment.obstacles()))
                .contains("it is below the VMD 0000:00:0e.0 and has no requester id of its own: its requests carry the"
                        + " VMD's");
        assertThat(texts(assignment.hints()))
                .contains("assign the VMD 0000:00:0e.0 with all that is behind it, or turn VMD off in the firmware"
                        + " setup");
        AuditedDevice disk = Hosts.device(audit, "10000:e1:00.0");
        AuditedDevice vmd = Hosts.device(audit, "00:0e.0");
        assertThat(disk.unit()).isEqualTo("dmar0").isEqualTo(vmd.unit());
        assertThat(disk.guest()).isEqualTo(vmd.guest()).isEqualTo(Guest.NONCOHERENT);
        assertThat(Hosts.groups(audit)).containsExactly("00:0e.0 :e0:06.0 :e1:00.0");
    }

    /** The VMD's driver takes them away when it leaves the VMD. */
    @Test
    void driversOfFunctionsBelowDoNotKeepTheVmdFromAGuest() throws IOException {
        Audit audit = host().lspci(
                        Hosts.express("00:0e.0 " + VMD, "Endpoint", true) + Hosts.in(9, "vfio-pci"),
                        Hosts.express("10000:e1:00.0 " + DISK, "Endpoint", true) + Hosts.in(9, "nvme"))
                .audit("6.1", "00:0e.0");
        assertThat(audit.assignment().obstacles()).isEmpty();
        assertThat(audit.assignment().assignable()).isEqualTo(Answer.YES);
    }

    @Test
    void ofTwoVmdsTheOneOfTheSameGroupIsAbove() throws IOException {
        String[] functions = {
            Hosts.express("00:0e.0 " + VMD, "Endpoint", true) + Hosts.in(9, "vmd"),
            Hosts.express("80:0e.0 " + VMD, "Endpoint", true) + Hosts.in(10, "vmd"),
            Hosts.express("10001:e1:00.0 " + DISK, "Endpoint", true) + Hosts.in(10, "nvme"),
            Hosts.express("10002:e1:00.0 " + DISK, "Endpoint", true)
        };
        Audit audit = host().lspci(functions).audit("6.1");
        assertThat(texts(Hosts.device(audit, "10001:e1:00.0").obstacles()))
                .anySatisfy(text -> assertThat(text).startsWith("it is below the VMD 0000:80:0e.0 "));
        assertThat(texts(Hosts.device(audit, "10002:e1:00.0").obstacles()))
                .as("its group is unknown")
                .anySatisfy(text -> assertThat(text).startsWith("it is below a VMD "));
        assertThat(Hosts.device(audit, "10002:e1:00.0").unit()).isNull();
    }

    @Test
    void whereNoInputListsGroupsTheyAreOfTheGroupOfTheVmd() throws IOException {
        String[] functions = {
            Hosts.express("00:02.0 VGA compatible controller: Maker Graphics", "Endpoint", true) + Hosts.acs(true),
            Hosts.express("00:0e.0 " + VMD, "Endpoint", true) + Hosts.acs(true),
            Hosts.function("10000:e1:00.0 " + DISK)
        };
        Audit audit = host().lspci(functions).audit("6.1");
        assertThat(Hosts.groups(audit)).containsExactly("00:02.0", "00:0e.0 :e1:00.0");
        assertThat(Hosts.device(audit, "10000:e1:00.0").group())
                .isEqualTo(
                        audit.device(PciAddress.parse("00:0e.0")).orElseThrow().group());
    }
}
