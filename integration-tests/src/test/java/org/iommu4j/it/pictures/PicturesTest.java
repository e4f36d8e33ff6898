// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.it.pictures;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.xml.parsers.ParserConfigurationException;
import org.junit.jupiter.api.Test;
import org.xml.sax.SAXException;

/** The pictures of the house show it as it is; {@code -Diommu4j.pictures.write=true} draws them anew. */
class PicturesTest {
    private static final List<LockOrderPicture.Lock> INTEL = List.of(
            new LockOrderPicture.Lock("Device", "IntelDevice", "which domains the device and its PASIDs are in"),
            new LockOrderPicture.Lock(
                    "Domain", "IntelDomain", "who is attached, whether enforcement was promised, domain ids in use"),
            new LockOrderPicture.Lock("Device tables", "DeviceTables", "root, context and PASID entries of one unit"),
            new LockOrderPicture.Lock("Invalidator", "InvalidationQueue", "one batch of requests and the wait for it"),
            new LockOrderPicture.Lock("Commands", "IntelUnit", "GCMD and the status that follows it"));

    private static final List<LockOrderPicture.Lock> AMD = List.of(
            new LockOrderPicture.Lock(
                    "Attachments",
                    "Attacher",
                    "everything that changes a device table entry: attach, detach, a table that grows"),
            new LockOrderPicture.Lock("Unit", "UnitCommands", "the command buffer of one unit and the waits for it"));

    private final Path root = root();

    private static Path root() {
        Path at = Path.of("").toAbsolutePath();
        while (!Files.exists(at.resolve("docs/pictures"))) {
            at = at.getParent();
            assertThat(at).as("a directory above with docs/pictures").isNotNull();
        }
        return at;
    }

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

    private void assertExist(String directory, Stream<String> classes) throws IOException {
        Set<String> known = new TreeSet<>();
        try (Stream<Path> files = Files.walk(root.resolve(directory))) {
            known.addAll(files.map(file -> file.getFileName().toString())
                    .filter(name -> name.endsWith(".java"))
                    .map(name -> name.substring(0, name.length() - 5))
                    .collect(Collectors.toSet()));
        }
        assertThat(known).as("classes of %s", directory).containsAll(classes.toList());
    }

    @Test
    void theHouseIsDrawnFromItsModules() throws IOException, ParserConfigurationException, SAXException {
        assertShows("house.svg", HousePicture.draw(root));
    }

    @Test
    void aDmaGoesByClassesThatExist() throws IOException {
        for (DmaPicture.Station station : DmaPicture.STATIONS) {
            for (String name : station.classes().split("[,;] ", -1)) {
                String[] parts = name.split("\\.", -1);
                assertExist("hardware-sim/src/main/java/org/iommu4j/sim/" + parts[0], Stream.of(parts[1]));
            }
        }
        assertShows("dma.svg", DmaPicture.draw());
    }

    @Test
    void theLocksOfTheIntelDriverBelongToItsClasses() throws IOException {
        assertExist("iommu-intel/src/main", INTEL.stream().map(LockOrderPicture.Lock::owner));
        assertShows(
                "locks-intel.svg",
                LockOrderPicture.draw(
                        "Lock order of the VT-d driver: a thread takes a lock only below those that it holds",
                        INTEL,
                        "Mapping and unmapping: entries change by compare-and-set, frames by the allocator's own rules."));
    }

    @Test
    void theLocksOfTheAmdDriverBelongToItsClasses() throws IOException {
        assertExist("iommu-amd/src/main", AMD.stream().map(LockOrderPicture.Lock::owner));
        assertShows(
                "locks-amd.svg",
                LockOrderPicture.draw(
                        "Lock order of the AMD-Vi driver: a thread takes a lock only below those that it holds",
                        AMD,
                        "Mapping and unmapping: entries change by compare-and-set, frames by the allocator's own rules."));
    }

    @Test
    void theCacheProtocolIsDrawnFromTheRowsOfItsTest() throws IOException {
        assertShows(
                "protocol.svg",
                MesiPicture.draw(root.resolve("hardware-sim/src/test/resources/org/iommu4j/sim/cache/protocol.csv")));
    }
}
