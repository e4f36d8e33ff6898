// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import javax.xml.parsers.ParserConfigurationException;
import org.iommu4j.LinuxRelease;
import org.iommu4j.it.Checkout;
import org.iommu4j.workbench.Workbench;
import org.iommu4j.workbench.report.StoryPicture;
import org.iommu4j.workbench.scenario.Outcome;
import org.junit.jupiter.api.Test;
import org.xml.sax.SAXException;

/** The pictures of the house show it as it is; {@code -Diommu4j.pictures.write=true} draws them anew. */
class PicturesTest {
    private static final List<LockOrderPicture.Lock> INTEL = List.of(
            new LockOrderPicture.Lock(
                    "Driver",
                    "IntelIommu",
                    "which devices were probed and which domains there are",
                    "synchronized (this)"),
            new LockOrderPicture.Lock(
                    "Device",
                    "IntelDomain",
                    "which domains a device and its PASIDs are in (the monitor of IntelDevice)",
                    "synchronized (device)"),
            new LockOrderPicture.Lock(
                    "Domain",
                    "IntelDomain",
                    "attached devices, the promise of enforcement, domain ids in use",
                    "synchronized (lock)"),
            new LockOrderPicture.Lock(
                    "Device tables",
                    "ScalableTables",
                    "root, context and PASID entries of one unit (or LegacyTables); a device's lock comes before its"
                            + " unit's",
                    "synchronized void set("),
            new LockOrderPicture.Lock(
                    "Invalidator",
                    "UnitCaches",
                    "one batch of requests and the wait for it",
                    "synchronized (invalidator)"),
            new LockOrderPicture.Lock(
                    "Commands", "UnitCommands", "GCMD and the status that follows it", "synchronized void turn("));

    private static final List<LockOrderPicture.Lock> AMD = List.of(
            new LockOrderPicture.Lock(
                    "Driver",
                    "Attacher",
                    "everything that changes a device table entry: attach, detach, a table that grows",
                    "synchronized AttachResult attach("),
            new LockOrderPicture.Lock(
                    "Unit",
                    "AmdUnit",
                    "the command buffer of one unit and the waits for it (the monitor of UnitCommands)",
                    "synchronized (commands)"));

    private final Path root = Checkout.root();

    private void assertShows(String name, String svg) throws IOException {
        Path file = root.resolve("docs/pictures").resolve(name);
        if (Boolean.getBoolean("iommu4j.pictures.write")) {
            Files.writeString(file, svg);
        }
        assertThat(file)
                .as("%s; -Diommu4j.pictures.write=true draws it anew", name)
                .exists()
                .hasContent(svg);
    }

    private static void assertExist(String directory, Stream<String> classes) {
        assertThat(Checkout.classes(directory)).as("classes of %s", directory).containsAll(classes.toList());
    }

    /** A lock is where its class takes it: a class that only exists would let a picture go stale. */
    private void assertTaken(String driver, List<LockOrderPicture.Lock> locks) throws IOException {
        for (LockOrderPicture.Lock lock : locks) {
            assertThat(root.resolve(driver).resolve(lock.owner() + ".java"))
                    .as("%s takes the lock of %s", lock.owner(), lock.name())
                    .content()
                    .contains(lock.taken());
        }
    }

    @Test
    void theHouseIsDrawnFromItsModules() throws IOException, ParserConfigurationException, SAXException {
        assertShows("house.svg", HousePicture.draw(root));
    }

    @Test
    void aDmaGoesByClassesThatExist() throws IOException {
        List<String> lists = new ArrayList<>(DmaPicture.ENDS);
        DmaPicture.STATIONS.forEach(station -> lists.add(station.classes()));
        for (String list : lists) {
            for (String name : list.split("[,;] ", -1)) {
                String[] parts = name.split("\\.", -1);
                assertExist("hardware-sim/src/main/java/org/iommu4j/sim/" + parts[0], Stream.of(parts[1]));
            }
        }
        assertShows("dma.svg", DmaPicture.draw());
    }

    @Test
    void theIntelDriverTakesItsLocksWhereThePictureHasThem() throws IOException {
        assertTaken("iommu-intel/src/main/java/org/iommu4j/intel", INTEL);
        assertShows(
                "locks-intel.svg",
                LockOrderPicture.draw(
                        "Lock order of the VT-d driver: a thread takes a lock only below those that it holds",
                        INTEL,
                        "Mapping and unmapping: entries change by compare-and-set, frames by the allocator's own"
                                + " rules. Beside this chain: below the device's lock those of its page requests"
                                + " (DevicePageRequests, then PageRequestQueue); innermost FaultLog and DomainIds."));
    }

    @Test
    void theAmdDriverTakesItsLocksWhereThePictureHasThem() throws IOException {
        assertTaken("iommu-amd/src/main/java/org/iommu4j/amd", AMD);
        assertShows(
                "locks-amd.svg",
                LockOrderPicture.draw(
                        "Lock order of the AMD-Vi driver: a thread takes a lock only below those that it holds",
                        AMD,
                        "Mapping and unmapping: entries change by compare-and-set, frames by the allocator's own"
                                + " rules. A device has no lock of its own; innermost is DomainIds."));
    }

    @Test
    void aRunIsDrawnAsTheCommandDrawsIt() throws IOException {
        Workbench workbench = Workbench.create();
        Outcome outcome = workbench
                .runner()
                .run(
                        workbench.caseNamed("wbinvd-mask-hole"),
                        workbench.machines().named("intel-nosc"),
                        LinuxRelease.NEWEST);

        assertShows("run.svg", StoryPicture.file(outcome));
    }

    @Test
    void theCacheProtocolIsDrawnFromTheRowsOfItsTest() throws IOException {
        assertShows(
                "protocol.svg",
                MesiPicture.draw(root.resolve("hardware-sim/src/test/resources/org/iommu4j/sim/cache/protocol.csv")));
    }
}
