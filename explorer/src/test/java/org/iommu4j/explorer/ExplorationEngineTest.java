// SPDX-License-Identifier: Apache-2.0
package org.iommu4j.explorer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.List;
import java.util.ServiceLoader;
import org.junit.jupiter.api.Test;

class ExplorationEngineTest {
    private final ClassLoader loader = getClass().getClassLoader();

    /** Caches of the three sizes that its input names. */
    public static final class Caches implements WorldFactory {
        /** For the engine. */
        public Caches() {}

        @Override
        public TransitionSystem open(byte[] input) {
            return new MesiCaches(input[0], input[1], input[2]);
        }
    }

    /** A factory that nobody outside can make. */
    static final class Hidden implements WorldFactory {
        private Hidden() {}

        @Override
        public TransitionSystem open(byte[] input) {
            return new MesiCaches(1, 1, 1);
        }
    }

    @Test
    void theLocalEngineIsFoundAndExploresAWorldThatIsNamed() {
        World world = World.named(Caches.class.getName(), new byte[] {3, 2, 2}, loader);
        ExplorationEngine engine = ExplorationEngine.named("local", loader);
        Report report = engine.explore(world, Settings.DEFAULT.withWorkers(2), Bounds.NONE, () -> false);
        assertThat(report.cover().states()).isEqualTo(2916);
        assertThat(report.cover().transitions()).isEqualTo(91_692);
        assertThat(engine.explore(world, Settings.DEFAULT, Bounds.NONE, () -> true)
                        .cover()
                        .ended())
                .isEqualTo(Ended.INTERRUPTED);
    }

    @Test
    void thereIsOneEngineHere() {
        assertThat(ServiceLoader.load(ExplorationEngine.class, loader))
                .hasOnlyElementsOfType(LocalEngine.class)
                .hasSize(1);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> ExplorationEngine.named("remote", loader))
                .withMessage("no engine \"remote\"; there are " + List.of("local"));
    }

    @Test
    void aWorldKeepsItsNameAndItsInput() {
        byte[] input = {1, 2, 3};
        World world = new World(Caches.class, input);
        input[0] = 9;
        world.input()[1] = 9;
        assertThat(world.input()).containsExactly(1, 2, 3);
        assertThat(world.factory()).isEqualTo(Caches.class.getName());
    }

    @Test
    void aWorldThatCannotBeMadeIsNamed() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> World.named("org.iommu4j.Nothing", new byte[0], loader))
                .withMessageContaining("org.iommu4j.Nothing");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> World.named("java.lang.String", new byte[0], loader))
                .withMessageContaining("java.lang.String");
        World hidden = new World(Hidden.class, new byte[0]);
        assertThatIllegalArgumentException()
                .isThrownBy(hidden::newFactory)
                .withMessageContaining(Hidden.class.getName());
    }
}
