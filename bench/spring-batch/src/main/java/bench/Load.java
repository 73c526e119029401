package bench;

import java.math.BigDecimal;
import java.sql.Timestamp;
import javax.sql.DataSource;
import org.springframework.batch.core.Job;
import org.springframework.batch.core.job.builder.JobBuilder;
import org.springframework.batch.core.repository.JobRepository;
import org.springframework.batch.core.step.builder.StepBuilder;
import org.springframework.batch.item.database.builder.JdbcBatchItemWriterBuilder;
import org.springframework.batch.item.file.builder.FlatFileItemReaderBuilder;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.io.FileSystemResource;
import org.springframework.transaction.PlatformTransactionManager;

/** rows.csv into the table `theirs`, a chunk and so a transaction for each 10,000 rows. */
@SpringBootApplication
public class Load {
  record Row(long id, int k, BigDecimal amount, Timestamp at, String note, double x) {}

  public static void main(String[] arguments) {
    System.exit(SpringApplication.exit(SpringApplication.run(Load.class, arguments)));
  }

  @Bean
  Job rows(JobRepository repository, PlatformTransactionManager transactions, DataSource database) {
    var reader = new FlatFileItemReaderBuilder<Row>().name("rows").resource(new FileSystemResource("rows.csv"))
        .linesToSkip(1).delimited().names("id", "k", "amount", "at", "note", "x")
        .fieldSetMapper(row -> new Row(row.readLong(0), row.readInt(1), row.readBigDecimal(2), Timestamp.valueOf(row.readString(3)),
            row.readString(4), row.readDouble(5)))
        .build();
    var writer = new JdbcBatchItemWriterBuilder<Row>().dataSource(database)
        .sql("INSERT INTO theirs (id, k, amount, at, note, x) VALUES (?, ?, ?, ?, ?, ?)")
        .itemPreparedStatementSetter((row, insert) -> {
          insert.setLong(1, row.id());
          insert.setInt(2, row.k());
          insert.setBigDecimal(3, row.amount());
          insert.setTimestamp(4, row.at());
          insert.setString(5, row.note());
          insert.setDouble(6, row.x());
        })
        .build();
    writer.afterPropertiesSet();
    var step = new StepBuilder("step", repository).<Row, Row>chunk(10_000, transactions).reader(reader).writer(writer).build();
    return new JobBuilder("load", repository).start(step).build();
  }
}
