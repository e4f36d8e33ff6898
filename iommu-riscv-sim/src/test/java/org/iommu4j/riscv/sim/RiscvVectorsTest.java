// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.riscv.sim;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import java.util.zip.GZIPInputStream;
import org.iommu4j.witness.NeedsSharedData;
import org.iommu4j.witness.SharedData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import tools.jackson.core.JsonParser;
import tools.jackson.core.ObjectReadContext;
import tools.jackson.core.json.JsonFactory;

/** The unit answers as the C reference model of the manual's authors does, except where the manual says otherwise. */
class RiscvVectorsTest {
    private static final Logger LOGGER = LoggerFactory.getLogger(RiscvVectorsTest.class);
    private static final String PLACE = "data/riscv";

    static Stream<Path> files() {
        return SharedData.files(PLACE, ".jsonl.gz").stream();
    }

    @ParameterizedTest
    @MethodSource("files")
    @NeedsSharedData(PLACE)
    void answersAreThoseOfTheReferenceModel(Path file) throws IOException {
        replay(file, false);
    }

    /** Nothing changes the tables of these but the unit itself. */
    @Test
    void aUnitThatRemembersAnswersTheSame() throws IOException {
        replay(SharedData.path(PLACE + "/random.jsonl.gz"), true);
    }

    private static void replay(Path file, boolean remembering) throws IOException {
        String name = file.getFileName().toString();
        VectorReplay replay = new VectorReplay(name, remarks().getOrDefault(name, Map.of()), remembering);
        try (InputStream in = new GZIPInputStream(Files.newInputStream(file), 1 << 16);
                JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), in)) {
            while (parser.nextToken() != null) {
                replay.line(Json.read(parser));
            }
        }
        LOGGER.info(replay.summary());
        List<String> differences = replay.differences();
        assertThat(differences.subList(0, Math.min(differences.size(), 20)))
                .as(replay.summary())
                .isEmpty();
    }

    /** Returns the remarks on steps, by file, and then by case and step. */
    private static Map<String, Map<String, Remark>> remarks() throws IOException {
        Map<String, Map<String, Remark>> remarks = new HashMap<>();
        List<String> rows = Files.readAllLines(SharedData.path(PLACE + "/remarks.tsv"));
        for (String row : rows.subList(1, rows.size())) {
            String[] cells = row.split("\t", -1);
            remarks.computeIfAbsent(cells[0], file -> new HashMap<>())
                    .put(cells[1] + " " + cells[2], new Remark(cells[4], manualsAnswer(cells[5])));
        }
        return remarks;
    }

    private static Optional<Json> manualsAnswer(String text) throws IOException {
        if (!text.startsWith("{")) {
            return Optional.empty();
        }
        try (JsonParser parser = new JsonFactory().createParser(ObjectReadContext.empty(), text)) {
            parser.nextToken();
            return Optional.of(Json.read(parser));
        }
    }
}
