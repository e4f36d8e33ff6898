// SPDX-License-Identifier: Apache-2.0
// What the scripts of the consumers share. Each is run by the invoker plug-in when its project is built:
//     def consumer = evaluate(new File(basedir, '../../../src/it/consumer.groovy'))
// The projects are cloned to integration-tests/target/it, which is their scripts' basedir.

/** A project that was built: what came along with what it depends on, and what it prints. */
class Consumer {
    private final File basedir

    /** The jars of the project at run time, as a path. */
    final String path

    /** The names of the artifacts on that path, sorted. */
    final List<String> artifacts

    Consumer(File basedir) {
        this.basedir = basedir
        path = new File(basedir, 'target/runtime-path.txt').text.trim()
        // .../artifact/version/artifact-version.jar
        artifacts = path.split(File.pathSeparator).collect { new File(it).parentFile.parentFile.name }.sort()
    }

    /** Asserts what came along. */
    void gets(String... wanted) {
        if (artifacts != wanted.toList()) {
            throw new IllegalStateException("the consumer gets $artifacts, should get $wanted")
        }
    }

    /** Runs a main class from the class path, and asserts that it ends well; returns the lines that it prints. */
    List<String> onClassPath(String main, String... arguments) {
        run(['-cp', all(), main] + arguments.toList())
    }

    /** Runs a main class of a module from the module path, and asserts that it ends well; returns its lines. */
    List<String> onModulePath(String module, String... arguments) {
        run(['-p', all(), '-m', module] + arguments.toList())
    }

    /** The same with all modules of the path, also those that no other asks for. */
    List<String> onWholeModulePath(String module, String... arguments) {
        run(['-p', all(), '--add-modules', 'ALL-MODULE-PATH', '-m', module] + arguments.toList())
    }

    /** Asserts that a text is in one of the lines. */
    void prints(List<String> lines, String text) {
        if (!lines.any { it.contains(text) }) {
            throw new IllegalStateException("no '$text' in $lines")
        }
    }

    /** Asserts that an audit of two captures says what it should; {@code audit} is given their paths. */
    void audits(Closure<List<String>> audit) {
        def captures = new File(basedir, '../../../src/test/resources/captures')
        def names = ['intel-sc1', 'amd-qemu11']
        def lines = audit(names.collect { new File(captures, it + '.tar').path } as String[])
                .findAll { !it.startsWith('SLF4J') }
        if (lines.size() != names.size()) {
            throw new IllegalStateException("${lines.size()} lines for $names: $lines")
        }
        names.eachWithIndex { name, i ->
            if (!lines[i].startsWith("$name, Linux ") || !lines[i].contains(': COHERENT, ')) {
                throw new IllegalStateException("the line of $name is '${lines[i]}'")
            }
        }
    }

    private String all() {
        new File(basedir, 'target/classes').path + File.pathSeparator + path
    }

    private List<String> run(List<String> command) {
        def output = new File(basedir, 'target/output.txt')
        def exit = new ProcessBuilder([System.getProperty('java.home') + '/bin/java'] + command)
                .redirectErrorStream(true)
                .redirectOutput(output)
                .start()
                .waitFor()
        if (exit != 0) {
            throw new IllegalStateException("$command: exit code $exit: ${output.text}")
        }
        output.readLines()
    }
}

new Consumer(basedir)
